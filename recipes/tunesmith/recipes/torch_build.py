"""What the installed torch was built for, read from its files: importing it takes seconds."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import msgspec


class TorchBuild(msgspec.Struct, frozen=True):
    """`cuda`, `hip` and `xpu` are the versions of those it was built with, None for a build without."""

    version: str
    cuda: str | None = None
    hip: str | None = None
    xpu: str | None = None


def installed() -> TorchBuild | None:
    """None when torch is not installed, or is one without the file that says."""
    found = importlib.util.find_spec("torch")
    places = found.submodule_search_locations if found else None
    file = Path(next(iter(places))) / "version.py" if places else None
    return parse(file.read_text("utf-8")) if file and file.is_file() else None


def parse(text: str) -> TorchBuild | None:
    """From torch's `version.py`: plain assignments of strings and None, some of them annotated."""
    values: dict[str, str | None] = {}
    for line in ast.parse(text).body:
        match line:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() | None as value)):
                values[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str() | None as value)):
                values[name] = value
    if version := values.get("__version__"):
        return TorchBuild(version, values.get("cuda"), values.get("hip"), values.get("xpu"))
    return None
