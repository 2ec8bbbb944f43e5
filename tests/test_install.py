"""install.sh looks first, says what is missing and how to get it, and writes nothing before it has looked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "install.sh"
TOOLS = (
    "awk", "basename", "bash", "cat", "cksum", "cut", "df", "dirname", "env", "find", "grep", "head", "ln", "mkdir",
    "mv", "rm", "sed", "sleep", "tail", "tar", "uname",
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH of the ordinary tools and Python, without any compiler."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    (folder / "python3").symlink_to(sys.executable)
    return folder


def install(
    home: Path, *arguments: str, path: str | Path | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": str(path or os.environ["PATH"]), "LANG": "C.UTF-8", **settings}
    command = [shutil.which("bash") or "bash", str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_help_names_every_verb_and_every_setting_that_the_script_reads(home: Path) -> None:
    done = install(home, "--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("quickstart", "test", "--help"))
    read = set(re.findall(r"\$\{?(TUNESMITH_[A-Z_]+)", SCRIPT.read_text("utf-8")))
    assert len(read) >= 7
    assert [name for name in sorted(read) if name not in done.stdout] == []


def test_without_a_compiler_it_stops_at_once_and_says_how_to_get_one(home: Path, tools: Path) -> None:
    done = install(home, path=tools)
    assert done.returncode == 1
    assert "no C compiler" in done.stderr
    ways = ("apt install build-essential", "dnf install gcc", "xcode-select --install", "install a C and C++ compiler")
    assert any(way in done.stderr for way in ways)
    assert list(home.iterdir()) == []


def test_a_c_compiler_alone_is_not_enough(home: Path, tools: Path) -> None:
    (tools / "cc").symlink_to("/bin/true")
    assert "no C++ compiler" in install(home, path=tools).stderr


def test_without_enough_disk_it_stops_before_writing_anything(home: Path) -> None:
    done = install(home, TUNESMITH_DISK_GB="9999999")
    assert done.returncode == 1
    assert "9999999 GB are needed" in done.stderr
    assert "TUNESMITH_VENV" in done.stderr
    assert list(home.iterdir()) == []


def test_a_python_that_does_not_suit_is_refused_by_name(home: Path) -> None:
    done = install(home, TUNESMITH_PYTHON="/bin/false")
    assert done.returncode == 1
    assert "TUNESMITH_PYTHON=/bin/false" in done.stderr


def test_without_any_python_it_says_how_to_get_one(home: Path, tools: Path) -> None:
    (tools / "python3").unlink()
    done = install(home, path=tools)
    assert done.returncode == 1
    assert "no Python from 3.11" in done.stderr
    assert list(home.iterdir()) == []


def test_a_second_set_up_of_the_same_environment_waits_its_turn(home: Path) -> None:
    lock = home / ".local/share/tunesmith/venv.lock"
    lock.mkdir(parents=True)
    (lock / "pid").write_text(str(os.getpid()))
    done = install(home, TUNESMITH_DISK_GB="0", CC="true", CXX="true")
    assert done.returncode == 1
    assert f"process {os.getpid()}" in done.stderr
    assert lock.exists()


def test_an_unknown_verb_gets_the_help(home: Path) -> None:
    done = install(home, "quikstart")
    assert done.returncode == 1
    assert "no verb 'quikstart'" in done.stderr
    assert "Usage:" in done.stderr


def test_a_set_up_environment_is_left_as_it_is_within_seconds(home: Path) -> None:
    if not (Path(sys.prefix) / "share/tunesmith/stamp").exists():
        pytest.skip("this environment was not made by install.sh")
    # Were the stamp out of date, the disk asked for would stop the script before it changes anything.
    done = install(
        home, TUNESMITH_VENV=sys.prefix, TUNESMITH_DISK_GB="9999999",
        TUNESMITH_TORCH_INDEX=os.environ.get("TUNESMITH_TORCH_INDEX", ""),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nothing has changed" in done.stderr
    assert (home / ".local/bin/tunesmith").resolve() == Path(sys.prefix).resolve() / "bin/tunesmith"


def test_somebody_elses_command_of_our_name_is_left_alone(home: Path) -> None:
    if not (Path(sys.prefix) / "share/tunesmith/stamp").exists():
        pytest.skip("this environment was not made by install.sh")
    theirs = home / ".local/bin/tunesmith"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    done = install(home, TUNESMITH_VENV=sys.prefix, TUNESMITH_DISK_GB="9999999")
    assert "was left alone" in done.stderr
    assert theirs.read_text() == "theirs"


def test_the_pinned_versions_lie_within_the_ranges_of_the_project() -> None:
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line]
    pinned = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])]
    assert len(wanted) >= 30
    for requirement in wanted:
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_scripts_are_clean_by_shellcheck() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([shellcheck, str(SCRIPT), str(ROOT / ".ci/run")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
