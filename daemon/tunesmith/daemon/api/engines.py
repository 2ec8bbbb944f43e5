"""The engines that answer, a row each; and where those that are installed beside Tunesmith are found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from tunesmith.recipes.errors import MachineError

VERSION_WITHIN_S = 20  # a Python that reads one file, on a machine that is busy
SETTING = "serve."  # and the engine's key
VARIABLE = "TUNESMITH_SERVE_"  # and the same in capitals


class Row(msgspec.Struct, frozen=True):
    """`program` is the command of one that is installed beside us, "" for those in our own environment.

    `package` is what pip calls it. `devices` are torch's names of those it computes on.
    """

    key: str
    title: str
    program: str = ""
    package: str = ""
    devices: tuple[str, ...] = ()


_ROWS = (
    Row("llama_cpp", "llama.cpp"),
    Row("transformers", "transformers"),
    Row("vllm", "vLLM", "vllm", "vllm", ("cuda", "cpu")),
    Row("sglang", "SGLang", "sglang", "sglang", ("cuda",)),
    Row("lmdeploy", "LMDeploy", "lmdeploy", "lmdeploy", ("cuda",)),
)
ENGINES: Mapping[str, Row] = MappingProxyType({row.key: row for row in _ROWS})
BESIDE = tuple(row for row in _ROWS if row.program)


def found(row: Row, setting: str, environment: Mapping[str, str]) -> Path | None:
    """The command or the Python of `row`: as `setting` says, else in our own environment, else on PATH.

    Raises MachineError when `setting` names nothing that can be run.
    """
    if setting:
        return _named(row, Path(setting).expanduser().absolute())
    ours = Path(sys.executable).parent / row.program
    if runs(ours):
        return ours
    on_path = shutil.which(row.program, path=environment.get("PATH", os.defpath))
    return Path(on_path).absolute() if on_path else None


def _named(row: Row, path: Path) -> Path:
    """A command, a Python, or the folder of an environment that has the one or the other."""
    places = (path, path / "bin" / row.program, path / "bin" / "python")
    place = next((one for one in places if runs(one)), None)
    if place is None:
        raise MachineError(
            f"{SETTING}{row.key} is {path}, and nothing there can be run",
            f"tunesmith settings set {SETTING}{row.key} /path/to/bin/{row.program}",
            "engine_missing",
        )
    return place


def runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def missing(row: Row) -> MachineError:
    return MachineError(
        f"{row.title} is not installed: no `{row.program}` in Tunesmith's environment or on PATH",
        f"Install it in an environment of its own (pip install {row.package}), then: tunesmith settings set "
        f"{SETTING}{row.key} /path/to/bin/{row.program}",
        "engine_missing",
    )


def is_python(path: Path) -> bool:
    return path.name.startswith("python")


def python_of(path: Path) -> Path | None:
    """The Python that runs the command `path`: as its first line says, or the one beside it, as environments have it.

    Raises OSError.
    """
    if is_python(path):
        return path
    with path.open("rb") as file:
        line = file.readline(4096)
    named = Path(os.fsdecode(line[2:].split()[0])) if line.startswith(b"#!/") else None
    if named is not None and is_python(named) and runs(named):
        return named
    return beside if runs(beside := path.parent / "python") else None


def version(row: Row, path: Path) -> str:
    """As its package says, without loading it; "" where that cannot be found out."""
    try:
        if (python := python_of(path)) is None:
            return ""
        code = f"from importlib.metadata import version; print(version({row.package!r}))"
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=VERSION_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
