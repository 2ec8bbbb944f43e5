"""Environments of their own for tools: real venvs and pip, wheels in a folder, our packages left as they are."""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pip
import pytest

from tunesmith.daemon.api.environments import WHOLE
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.locks import locked
from tunesmith.daemon.worker import environments
from tunesmith.daemon.worker.environments import Environment, installing
from tunesmith.daemon.worker.environments.installing import Tool
from tunesmith.recipes import exports, suites
from tunesmith.recipes.errors import MachineError

Said = list[str]


def wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    """A package whose module says its version."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(path, text)


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is lent: torch in a build of its own and a package in an old version, unpacked; and the real pip."""
    folder, wheels = tmp_path / "ours" / "site-packages", tmp_path / "unpacked"
    for name, version in (("torch", "2.0+cpu"), ("old", "1.0")):
        wheel(wheels, name, version)
    for path in wheels.iterdir():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    for path in Path(pip.__path__[0]).parent.glob("pip*"):
        (folder / path.name).symlink_to(path)
    monkeypatch.setattr(installing, "lent", lambda: [folder])
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """With wheels that a person put there, and no index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    found = Home(tmp_path / "home")
    wheel(found.wheels, "tiny", "1.0", "torch>=2", "old")
    wheel(found.wheels, "fresh", "1.0", "old>=2")
    wheel(found.wheels, "hungry", "1.0", "torch>=3")
    wheel(found.wheels, "old", "2.0")
    wheel(found.wheels, "torch", "3.0")
    return found


@pytest.fixture
def tool(tmp_path: Path) -> Callable[..., Tool]:
    def make(*lines: str) -> Tool:
        path = tmp_path / f"{'-'.join(lines)}.txt"
        path.write_text("\n".join(lines))
        return Tool("toy", path, 1000, "leave toys out")

    return make


def nothing() -> None:
    pass


def versions(environment: Environment, *names: str) -> list[str]:
    code = f"import {', '.join(names)}; print({', '.join(f'{name}.version' for name in names)})"
    return subprocess.run(environment.python("-c", code), capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
def test_it_is_made_once_beside_ours_which_stays_as_it_is(
    ours: Path, home: Home, tool: Callable[..., Tool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(home.wheels / "tiny-1.0-py3-none-any.whl") as archive:
        archive.extractall(tmp_path / "of-this-shell")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "of-this-shell"))  # which another shell has not
    toy, told = tool("tiny==1.0", "fresh==1.0"), Said()
    with environments.opened(toy, home, told.append, nothing) as made:
        assert versions(made, "tiny", "fresh", "torch", "old") == ["1.0", "1.0", "2.0+cpu", "2.0"]
    assert any("Installing" in what for what in told)
    assert sorted(path.name for path in ours.glob("*.py")) == ["old.py", "torch.py"]
    assert sorted(path.name for path in ours.glob("[ot]*-*")) == ["old-1.0.dist-info", "torch-2.0+cpu.dist-info"]
    assert (ours / "old.py").read_text() == "version = '1.0'\n"
    told.clear()
    mark = made.folder / "of-the-first"
    mark.touch()
    with environments.opened(toy, home, told.append, nothing) as again:
        assert again == made and mark.exists() and told == []

    (made.folder / WHOLE).unlink()  # as a kill in the middle leaves it
    with environments.opened(toy, home, told.append, nothing) as anew:
        assert anew == made and told and not mark.exists()


@pytest.mark.slow
def test_beside_another_state_of_ours_there_is_another_one_and_the_old_goes_once_it_is_not_used(
    ours: Path, home: Home, tool: Callable[..., Tool], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def make(tool: Tool, folder: Path, wheels: Path, tell: installing.Tell) -> None:
        (folder / "bin").mkdir(parents=True)
        for path in (folder / "bin" / "python", folder / WHOLE):
            path.touch()
        made.append(folder)

    monkeypatch.setattr(installing, "make", make)
    toy = tool("tiny==1.0")

    def opened() -> Path:
        with environments.opened(toy, home, lambda what: None, nothing) as found:
            return found.folder

    first = opened()
    assert opened() == first and made == [first]
    (ours / "more-1.0.dist-info").mkdir()
    with locked(environments.lock_of(first), shared=True):  # a job that still uses it
        second = opened()
    assert second != first and first.exists()
    (ours / "even-more-1.0.dist-info").mkdir()
    third = opened()
    assert [folder.exists() for folder in (first, second, third)] == [False, False, True]


@pytest.fixture
def bare(ours: Path, home: Home, tool: Callable[..., Tool]) -> Path:
    folder = home.environments / "bare"
    folder.parent.mkdir(parents=True)
    installing.with_venv(tool(), folder, lambda what: None)
    return folder


@pytest.mark.slow
def test_what_cannot_be_installed_is_told_with_a_way_on_and_torch_is_never_another(
    bare: Path, home: Home, tool: Callable[..., Tool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*lines: str) -> MachineError:
        with pytest.raises(MachineError) as caught:
            installing.with_pip(tool(*lines), bare, home.wheels, lambda what: None)
        assert caught.value.code == "tool_not_installed" and "leave toys out" in caught.value.hint
        return caught.value

    assert "nowhere==1.0" in refused("nowhere==1.0").message
    assert "hungry" in refused("hungry==1.0").message, "its torch would be another build"
    assert versions(Environment(bare), "torch") == ["2.0+cpu"]
    monkeypatch.setenv("TUNESMITH_OFFLINE", "1")
    monkeypatch.delenv("PIP_NO_INDEX")
    assert "--no-index" in installing.command(tool("tiny"), bare, home.wheels)
    hint = refused("elsewhere==1.0").hint
    assert hint.startswith("It is offline") and f"-d {home.wheels}" in hint

    class Cancelled(BaseException):
        pass

    def cancel(what: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        installing.make(tool("tiny==1.0"), bare, home.wheels, cancel)
    assert not bare.exists(), "nothing half made is left"


def test_of_a_closed_tool_nothing_but_its_file_is_looked_for(
    ours: Path, home: Home, tool: Callable[..., Tool], tmp_path: Path
) -> None:
    toy = tool("tiny==1.0")
    closed = Tool("toy", toy.requirements, 1000, "leave toys out", closed=True)
    assert set(installing.CLOSED) <= set(installing.command(closed, tmp_path, home.wheels))
    assert not set(installing.CLOSED) & set(installing.command(toy, tmp_path, home.wheels))


NO_COMPILER = """\
Collecting tiny==1.0
Building wheel for tiny (pyproject.toml): started
error: subprocess-exited-with-error
× Building wheel for tiny (pyproject.toml) did not run successfully.
error: command 'gcc' failed: No such file or directory
ERROR: Failed building wheel for tiny
ERROR: Could not build wheels for tiny, which is required to install pyproject.toml-based projects
"""


def test_what_cannot_be_built_from_source_says_what_to_install(tool: Callable[..., Tool], tmp_path: Path) -> None:
    toy = Tool(
        "toy", tool("tiny==1.0").requirements, 1000, "leave toys out", builds_with="a C compiler and Tiny's headers"
    )
    error = installing.refusal(toy, tmp_path / "wheels", NO_COMPILER.splitlines())
    assert error.code == "tool_not_installed"
    assert "tiny comes as source and could not be built here: error: command 'gcc' failed" in error.message
    assert error.hint.startswith("Install a C compiler and Tiny's headers") and "leave toys out" in error.hint
    assert f"`pip wheel --no-deps -r {toy.requirements} -w {tmp_path / 'wheels'}`" in error.hint
    missing = [*NO_COMPILER.splitlines(), "tiny.c:1:10: fatal error: Python.h: No such file or directory"]
    assert "Python.h" in installing.refusal(toy, tmp_path, missing).message, "the compiler's own words come first"


def test_a_full_disk_is_seen_before(ours: Path, home: Home, tool: Callable[..., Tool]) -> None:
    large = Tool("toy", tool("tiny==1.0").requirements, 1 << 60, "")
    with pytest.raises(MachineError) as caught, environments.opened(large, home, lambda what: None, nothing):
        pass
    assert caught.value.code == "disk_full" and not list(home.environments.glob("toy-*/"))


def test_every_tool_of_a_card_has_a_file_of_exact_versions_that_leaves_torch_alone() -> None:
    assert set(suites.TOOLS) <= set(environments.TOOLS)
    assert {card.tool for card in exports.cards().values()} - {""} <= set(environments.TOOLS)
    for tool in environments.TOOLS.values():
        lines = [line for line in tool.requirements.read_text().splitlines() if line[:1] not in ("#", "-")]
        assert lines and all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
        assert not any(line.startswith("torch==") for line in lines)
