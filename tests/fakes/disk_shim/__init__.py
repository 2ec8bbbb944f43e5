"""Between a process and its disk: calls that fail or kill at the n-th time, and a record of every change (disk.c)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("disk.c")
ARM = "disk_shim_arm"  # of the loaded library: a process sets a fault for itself


@cache
def compiled(folder: Path) -> Path:
    """The library, made in `folder`. Skips the test where there is no C compiler or no LD_PRELOAD."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler: faults of the disk are put in by a preloaded library")
    library = folder / "disk.so"
    flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE), "-ldl", "-lpthread"], check=True)
    return library


def environment(
    library: Path,
    under: Path,
    only: str = "",
    fault: str | None = None,
    flag: Path | None = None,
    record: Path | None = None,
) -> dict[str, str]:
    """What to add to a process's environment.

    `under` is the beginning of the paths that count, `only` a part of the command line of the processes that count
    (children inherit all of it), `fault` as in disk.c, `flag` the file for `while`.
    """
    found = {"LD_PRELOAD": str(library), "DISK_SHIM_UNDER": os.path.realpath(under), "DISK_SHIM_IN": only}
    if fault is not None:
        found["DISK_SHIM_FAULT"] = fault
    if flag is not None:
        found["DISK_SHIM_FLAG"] = str(flag)
    if record is not None:
        found["DISK_SHIM_RECORD"] = str(record)
    return found
