"""Room: what is free now, what there is in all, and how often the system killed for memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.daemon import room
from tunesmith.daemon.api.home import Home


def test_a_cpu_run_has_the_machine_s_memory(tmp_path: Path) -> None:
    found = room.now(Home(tmp_path), "cpu")
    place, whole = found.place, found.whole
    assert place.device == "cpu" and 0 < place.host_free_bytes <= place.host_memory_bytes
    assert (whole.free_bytes, whole.host_free_bytes) == (place.memory_bytes, place.host_memory_bytes)
    assert 0 < place.disk_free_bytes < whole.disk_free_bytes == found.disk_bytes


def test_kills_are_read_where_the_system_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "VMSTAT", tmp_path / "vmstat")
    assert room.memory_kills() is None
    (tmp_path / "vmstat").write_text("pgfault 77\noom_kill 3\n")
    assert room.memory_kills() == 3
    (tmp_path / "vmstat").write_text("pgfault 77\n")  # a kernel before 4.13
    assert room.memory_kills() is None
