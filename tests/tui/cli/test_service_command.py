"""`tunesmith daemon install` and `uninstall`, with a manager that really starts what the file says."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home

FAKES = Path(__file__).parents[2] / "fakes"


@pytest.fixture
def state(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a user's systemd that is the only one on the path."""
    folder, programs = tmp_path / "manager", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for name, fake in (("systemctl", "systemctl"), ("loginctl", "systemctl"), ("launchctl", "launchctl")):
        script = programs / name
        script.write_text(
            f"#!{sys.executable}\nimport os, runpy\nos.environ['FAKE_NAME'] = {name!r}\n"
            f"runpy.run_path({str(FAKES / f'fake_{fake}.py')!r}, run_name='__main__')\n"
        )
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("FAKE_MANAGER", str(folder))
    return folder


def calls(state: Path) -> list[str]:
    return (state / "calls").read_text().splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
class TestSystemd:
    def test_installed_it_runs_and_says_so(self, tunesmith: Any, state: Path, home: Home) -> None:
        ran = tunesmith("daemon", "install")
        assert ran.code == 0 and "installed (systemd)" in ran.out and "loginctl enable-linger" in ran.out
        status = tunesmith("daemon", "status", "--json").json
        assert status["running"] and status["service"]["installed"] and status["service"]["manager"] == "systemd"
        (pid,) = [int(file.read_text()) for file in state.glob("*.pid")]
        assert status["pid"] == pid, "it is the manager's"
        assert "starts at login (systemd" in tunesmith("daemon", "status").out

    def test_twice_is_as_good_as_once(self, tunesmith: Any, state: Path) -> None:
        first = tunesmith("daemon", "install", "--json").json
        pid = tunesmith("daemon", "status", "--json").json["pid"]
        second = tunesmith("daemon", "install", "--json").json
        assert first["changed"] and not second["changed"] and second["installed"]
        assert tunesmith("daemon", "status", "--json").json["pid"] == pid
        assert sum(" restart " in call for call in calls(state)) == 1

    def test_a_daemon_that_runs_already_gives_way(self, tunesmith: Any, state: Path) -> None:
        before = tunesmith("daemon", "start", "--json").json["pid"]
        tunesmith("daemon", "install")
        after = tunesmith("daemon", "status", "--json").json["pid"]
        assert after != before

    def test_a_stopped_service_is_started_as_one(self, tunesmith: Any, state: Path) -> None:
        tunesmith("daemon", "install")
        tunesmith("daemon", "stop")
        assert tunesmith("jobs", "list").code == 0
        assert any(" start tunesmith" in call for call in calls(state))
        (pid,) = [int(file.read_text()) for file in state.glob("*.pid")]
        assert tunesmith("daemon", "status", "--json").json["pid"] == pid

    def test_uninstall_leaves_nothing(self, tunesmith: Any, state: Path, tmp_path: Path) -> None:
        tunesmith("daemon", "install")
        ran = tunesmith("daemon", "uninstall")
        assert ran.code == 0 and ran.out.strip() == "uninstalled"
        assert [path for path in (tmp_path / ".config").rglob("*") if not path.is_dir()] == []
        assert not tunesmith("daemon", "status", "--json").json["running"]
        assert tunesmith("daemon", "uninstall", "--json").json == {"installed": False, "removed": False}

    def test_what_systemd_no_longer_answers_for_is_still_removed(
        self, tunesmith: Any, state: Path, tmp_path: Path
    ) -> None:
        tunesmith("daemon", "install")
        (state / "away").touch()
        assert tunesmith("daemon", "uninstall", "--json").json["removed"]
        assert [path for path in (tmp_path / ".config").rglob("*") if path.is_symlink() or path.is_file()] == []

    def test_without_systemd_it_says_what_to_do_instead(self, tunesmith: Any, state: Path, tmp_path: Path) -> None:
        (state / "away").touch()
        ran = tunesmith("daemon", "install", "--json")
        assert ran.code == 1 and ran.json["error"]["code"] == "no_service_manager"
        assert "No medium found" in ran.err and "tunesmith daemon start" in ran.json["error"]["hint"]
        assert not (tmp_path / ".config").exists()

    def test_lingering_is_not_asked_for_where_it_is_on(self, tunesmith: Any, state: Path) -> None:
        (state / "linger").touch()
        assert tunesmith("daemon", "install", "--json").json["advice"] == ""

    def test_a_dry_run_prints_the_unit_and_does_nothing(self, tunesmith: Any, state: Path, tmp_path: Path) -> None:
        ran = tunesmith("daemon", "install", "--dry-run")
        assert ran.code == 0 and "[Service]" in ran.out and "KillMode=process" in ran.out
        assert not (state / "calls").exists() and not (tmp_path / ".config").exists()
