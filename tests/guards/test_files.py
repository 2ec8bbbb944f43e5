"""What every committed file keeps to: a docstring first, no machine's paths, no registry's host, no giant."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("recipes", "daemon", "tui")
LONGEST = 400  # lines; past that a file holds two ideas (STYLE: find the seam)
# Put together here so that this file holds none of them itself.
HOSTS = tuple(".".join(parts) for parts in (
    ("pypi", "org"), ("pythonhosted", "org"), ("download", "pytorch", "org"), ("anaconda", "org"), ("pypi", "tuna"),
    ("mirrors", "aliyun"),
))  # fmt: skip
MACHINE_PATHS = tuple("/" + "/".join(parts) for parts in (
    ("work", "main"), ("work", "dev"), ("work", "shared"), ("opt", "pypi"), ("root", ""),
))  # fmt: skip


@cache
def committed() -> tuple[Path, ...]:
    """Files git tracks or would; a release archive without git has none to look at."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode != 0:
        pytest.skip("not a git clone")
    return tuple(path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())


def sources(*folders: str) -> list[Path]:
    found = [path for path in committed() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]
    assert len(found) >= 20
    return found


def test_every_python_file_says_first_what_it_is() -> None:
    silent = []
    for path in sources(*PARTS, "tests", "bench"):
        text = path.read_text("utf-8")
        if text.strip() and not (text.startswith('"""') and ast.get_docstring(ast.parse(text))):
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def test_no_source_file_is_a_giant() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in sources(*PARTS)}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_file_names_a_machine_or_a_package_registry() -> None:
    wrong = []
    for path in committed():
        text = path.read_bytes().decode("utf-8", "ignore")
        wrong += [f"{path.relative_to(ROOT)}: {found}" for found in (*HOSTS, *MACHINE_PATHS) if found in text]
    assert wrong == []


def test_no_work_is_left_behind_in_a_comment() -> None:
    left = re.compile(r"#.*\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
    assert [str(path) for path in sources(*PARTS, "tests", "bench") if left.search(path.read_text("utf-8"))] == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in committed() if path.name.startswith("test_")]
    assert len(names) >= 10
    assert sorted({name for name in names if names.count(name) > 1}) == []
