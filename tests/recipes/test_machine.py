"""The machine is described as this process is really granted it, and without an engine."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tunesmith.recipes import machine
from tunesmith.recipes.machine import apple, ascend, cpu, cuda


def test_the_backends_are_the_ones_we_know_of() -> None:
    assert set(machine.cards()) == {"apple", "ascend", "cpu", "cuda"}


def test_this_machine_has_a_processor_memory_and_disk(tmp_path: Path) -> None:
    found = machine.detect(tmp_path / "not" / "made" / "yet")
    assert found.devices[-1].kind == "cpu"
    assert found.cpu_name
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 < found.memory_free_bytes <= found.memory_bytes <= psutil.virtual_memory().total
    assert found.disk_free_bytes > 0


@pytest.mark.parametrize(
    ("text", "cores"),
    [("200000 100000", 2.0), ("50000 100000", 0.5), ("max 100000", None), ("-1 100000", None), ("", None)],
)
def test_a_cpu_quota_is_read_as_cores(text: str, cores: float | None) -> None:
    assert cpu.parse_cpu_max(text) == cores


def control_group(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text + "\n")
    monkeypatch.setattr(cpu, "CGROUP", folder)


def test_a_container_gets_the_cores_and_memory_of_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control_group(tmp_path, monkeypatch, cpu_max="100000 100000", memory_max="2000000000", memory_current="500000000")
    total, free = cpu.memory()
    assert (total, free) == (2_000_000_000, min(1_500_000_000, psutil.virtual_memory().available))
    assert cpu.granted_cores() == 1


def test_a_container_of_the_first_version_of_cgroups_is_limited_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "2000000000", "memory/memory.usage_in_bytes": "500000000",
        "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 300000000",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(cpu, "CGROUP", tmp_path)
    assert cpu.granted_cores() == 1
    assert cpu.memory() == (2_000_000_000, min(1_800_000_000, psutil.virtual_memory().available))
    (tmp_path / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert cpu.memory()[0] == psutil.virtual_memory().total, "what it writes for no limit is none"


def test_what_the_host_has_beyond_the_limits_is_known_and_left_out_without_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control_group(tmp_path, monkeypatch, cpu_max="100000 100000", memory_max="2000000000", memory_current="0")
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert (cpu.facts().host_cores, cpu.facts().host_memory_bytes) == (64, psutil.virtual_memory().total)
    control_group(tmp_path, monkeypatch, cpu_max="max 100000", memory_max="max")
    monkeypatch.setattr("os.cpu_count", cpu.granted_cores)
    assert (cpu.facts().host_cores, cpu.facts().host_memory_bytes) == (None, None)


def test_files_that_were_read_do_not_take_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = "anon 100000000\nfile 300000000\nactive_file 0\ninactive_file 300000000"
    control_group(tmp_path, monkeypatch, memory_max="2000000000", memory_current="500000000", memory_stat=stat)
    assert cpu.memory()[1] == min(1_800_000_000, psutil.virtual_memory().available)


def test_half_a_core_still_counts_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control_group(tmp_path, monkeypatch, cpu_max="50000 100000")
    assert cpu.granted_cores() == 1


def test_without_limits_the_host_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control_group(tmp_path, monkeypatch, cpu_max="max 100000", memory_max="max")
    assert cpu.memory()[0] == psutil.virtual_memory().total


def test_little_memory_is_a_warning_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control_group(tmp_path, monkeypatch, memory_max="3000000000", memory_current="2000000000")
    _, warnings = cpu.detect()
    assert [warning.fix for warning in warnings] == ["Close other programs."]
    assert "GB of memory are free" in warnings[0].text


def test_a_backend_whose_hardware_is_absent_finds_nothing_and_complains_of_nothing() -> None:
    absent = [backend.CARD for backend in (apple, ascend, cuda) if not backend.CARD.detect()[0]]
    assert all(card.detect() == ((), ()) for card in absent)
