"""An agent is loaded into launchd once, in the session at the screen where there is one, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tunesmith.daemon.api import service
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.service import launchd
from tunesmith.recipes.errors import MachineError

FAKE = Path(__file__).parents[1] / "fakes" / "fake_launchctl.py"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "launchctl"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_MANAGER", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(service, "manager", lambda: service.LAUNCHD)
    return tmp_path


def calls(state: Path) -> list[str]:
    return [line.split()[1] for line in (state / "calls").read_text().splitlines()]


def test_it_is_written_loaded_and_removed(state: Path) -> None:
    home = Home(state / "home")
    assert service.write(home) and not service.write(home)
    place = launchd.place(home)
    launchd.enable(place)
    assert (state / f"{place.name}.loaded").read_text() == f"gui/{os.getuid()}"
    assert launchd.active(place) and service.start(home)
    assert service.remove(home) and not service.remove(home)
    assert not place.file.exists() and not (state / f"{place.name}.loaded").exists()


def test_one_that_is_loaded_is_unloaded_first(state: Path) -> None:
    home = Home(state / "home")
    service.write(home)
    launchd.enable(launchd.place(home))
    launchd.enable(launchd.place(home))
    asked = calls(state)
    assert asked.count("bootstrap") == 2 and asked.count("bootout") == 1


def test_over_ssh_it_is_loaded_for_the_user(state: Path) -> None:
    (state / "no-screen").touch()
    home = Home(state / "home")
    service.write(home)
    launchd.enable(launchd.place(home))
    assert (state / f"{launchd.place(home).name}.loaded").read_text() == f"user/{os.getuid()}"


def test_without_launchd_it_is_an_error_with_a_way_out(state: Path) -> None:
    (state / "away").touch()
    with pytest.raises(MachineError) as refused:
        service.write(Home(state / "home"))
    assert refused.value.code == "no_service_manager"
    assert service.start(Home(state / "home")) is False
