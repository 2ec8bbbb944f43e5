"""The doctor names each check, its state and the fix, and fails only for what is essential."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes import machine
from tunesmith.tui.cli import checks


def test_doctor_names_every_check_and_starts_nothing(tunesmith: Any, home: Home) -> None:
    ran = tunesmith("doctor", "--json")
    states = {check["name"]: check["state"] for check in ran.json["checks"]}
    assert ran.code == (1 if "fail" in states.values() else 0)
    assert ran.json["ok"] == (ran.code == 0)
    assert {"processor", "disk", "llama.cpp", "converter", "starter model", "daemon", "socket"} <= states.keys()
    assert ran.json["machine"]["cores"] >= 1
    assert not home.root.exists()


def test_a_full_disk_is_a_failure_with_a_fix() -> None:
    full = msgspec.structs.replace(machine.detect(), disk_free_bytes=10**9)
    check = checks.disk(full)
    assert check.state == "fail" and "TUNESMITH_HOME" in check.fix


def test_a_missing_converter_is_a_failure_with_a_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    check = checks.converter(Home(tmp_path))
    assert check.state == "fail" and check.fix == "./install.sh"


def test_a_socket_folder_open_to_others_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    (tmp_path / "run").chmod(0o755)
    check = checks.socket(Home(tmp_path))
    assert check.state == "fail" and check.fix.startswith("chmod 700")


def test_every_state_but_ok_has_a_fix() -> None:
    low = msgspec.structs.replace(machine.detect(), disk_free_bytes=0, memory_free_bytes=0)
    results = [*checks.of_machine(low), checks.disk(low)]
    assert {check.state for check in results} >= {"ok", "warn", "fail"}
    assert all(check.fix for check in results if check.state != "ok")
