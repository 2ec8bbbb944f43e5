"""A double of NVIDIA's library for the real pynvml: compiled once, and loaded by processes as the real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tunesmith.recipes.machine import Device, Warning

LIBRARY = "libnvidia-ml.so.1"  # the name that pynvml loads
SOURCE = Path(__file__).with_name("nvml.c")
DETECT = (
    "import msgspec, sys\n"
    "from tunesmith.recipes.machine import cuda\n"
    "sys.stdout.buffer.write(msgspec.json.encode(cuda.detect()))"
)


def compiler() -> str:
    """The one that building llama.cpp needs as well."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or "cc"


def compiled(folder: Path, *flags: str) -> Path:
    """The double's library in `folder`. Raises CalledProcessError when it does not compile."""
    flags = ("-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", *flags)
    subprocess.run([compiler(), *flags, "-o", str(folder / LIBRARY), str(SOURCE)], check=True)
    return folder


def with_torch(folder: Path, cuda: str | None) -> Path:
    """A stand-in for torch in `folder`: the file that says what it was built for; importing it is an error."""
    (folder / "torch").mkdir(parents=True, exist_ok=True)
    (folder / "torch" / "__init__.py").write_text('raise AssertionError("the engine was loaded")\n')
    version = f"2.13.0+{'cpu' if cuda is None else 'cu' + cuda.replace('.', '')}"
    (folder / "torch" / "version.py").write_text(f"__version__ = {version!r}\ncuda: str | None = {cuda!r}\n")
    return folder


def environment(library: Path, scene: Path, torch: Path, **more: str) -> Mapping[str, str]:
    """What a process needs to see `scene` through `library` with the torch of `torch` installed."""
    path = os.pathsep.join([str(torch), *sys.path])
    ours = {key: value for key, value in os.environ.items() if not key.startswith("CUDA_")}
    return ours | {"LD_LIBRARY_PATH": str(library), "NVML_SCENE": str(scene), "PYTHONPATH": path} | more


def detect(environment: Mapping[str, str]) -> tuple[tuple[Device, ...], tuple[Warning, ...]]:
    """What the NVIDIA backend finds in a process of its own, where the library is not loaded yet."""
    done = subprocess.run([sys.executable, "-c", DETECT], env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=tuple[tuple[Device, ...], tuple[Warning, ...]])
