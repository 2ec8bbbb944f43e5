"""What a service manager is given: a unit and an agent that say what they must, read back by other rules than ours."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import fake_systemctl
import pytest

from tunesmith.daemon.api import service
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.service import launchd, naming, systemd
from tunesmith.recipes.errors import MachineError

ODD = "od\"d \\ 100%s $HOME 'x'"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """That of a home whose path has everything that a unit file gives a meaning to."""
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/%20")
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(fake_systemctl, "UNITS", tmp_path)
    (tmp_path / "one.service").write_bytes(systemd.text(Home(tmp_path / ODD)))
    return fake_systemctl.read("one.service")


def test_the_unit_runs_this_python_over_this_home(unit: dict[str, list[str]], tmp_path: Path) -> None:
    command = [word.replace("$$", "$") for word in fake_systemctl.words(unit["ExecStart"][0])]
    assert command == [sys.executable, "-m", "tunesmith.daemon"]
    kept = dict(word.split("=", 1) for line in unit["Environment"] for word in fake_systemctl.words(line))
    assert kept["TUNESMITH_HOME"] == str(tmp_path / ODD) and unit["WorkingDirectory"] == [str(tmp_path / ODD)]
    assert kept["HF_ENDPOINT"] == "https://mirror.example/%20" and kept["PATH"] == os.environ["PATH"]
    assert "HF_TOKEN" not in kept, "a token is no part of a file that lies about"


def test_workers_outlive_the_unit_and_each_other(unit: dict[str, list[str]]) -> None:
    assert unit["KillMode"] == ["process"] and unit["OOMPolicy"] == ["continue"]
    assert unit["Restart"] == ["on-failure"] and unit["WantedBy"] == ["default.target"]
    assert unit["Delegate"] == ["memory"] and unit["DelegateSubgroup"] == ["daemon"]


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    home = Home(tmp_path / "home")
    home.root.mkdir()
    file = tmp_path / "tunesmith.service"
    file.write_bytes(systemd.text(home))
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", str(file)], capture_output=True, text=True,
        env=os.environ | {"XDG_RUNTIME_DIR": str(runtime)},
    )  # fmt: skip
    # Older ones do not know the setting and say that they leave it out; other lines are of the machine's own units.
    said = [line for line in done.stderr.splitlines() if "tunesmith.service" in line and "DelegateSubgroup" not in line]
    assert said == [] and done.returncode == 0, done.stderr


def test_a_path_that_no_unit_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot hold"):
        systemd.text(Home(tmp_path / "two\nlines"))


def test_the_agent_runs_at_login_and_after_a_crash(tmp_path: Path) -> None:
    agent = plistlib.loads(launchd.text(Home(tmp_path / ODD)))
    assert agent["ProgramArguments"] == [sys.executable, "-m", "tunesmith.daemon"]
    assert agent["EnvironmentVariables"]["TUNESMITH_HOME"] == str(tmp_path / ODD)
    assert agent["RunAtLoad"] is True and agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["AbandonProcessGroup"] is True, "workers outlive the daemon"
    assert agent["ProcessType"] == "Interactive", "workers inherit what holds the daemon back"
    assert launchd.place(Home(tmp_path / ODD)).file.name == f"{agent['Label']}.plist"


def test_two_homes_have_two_services_and_the_usual_one_the_plain_name(tmp_path: Path) -> None:
    usual = Home(tmp_path / ".local" / "share" / "tunesmith")
    assert systemd.place(usual).name == "tunesmith.service"
    assert launchd.place(usual).name == "tunesmith.daemon"
    names = {systemd.place(Home(tmp_path / name)).name for name in ("a", "b", ".local/share/tunesmith")}
    assert len(names) == 3


def test_what_the_environment_says_of_the_home_gives_way_to_the_home(tmp_path: Path) -> None:
    kept = naming.environment(
        Home(tmp_path), {"TUNESMITH_HOME": "/other", "TUNESMITH_WORKER_NICE": "5", "EDITOR": "vi"}
    )
    assert kept == {"TUNESMITH_HOME": str(tmp_path), "TUNESMITH_WORKER_NICE": "5"}


def test_another_system_has_no_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd14")
    with pytest.raises(MachineError) as refused:
        service.write(Home(tmp_path))
    assert refused.value.code == "no_service_manager" and "tunesmith daemon start" in refused.value.hint
    assert service.installed(Home(tmp_path)) is None and service.start(Home(tmp_path)) is False
