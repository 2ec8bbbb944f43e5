"""Control groups of workers: found where they were handed to us, limited, counted, killed whole and removed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.daemon import cgroup


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder that looks like a cgroup 2 with a unit's group in it."""
    unit = tmp_path / "user.slice" / "tunesmith.service"
    (unit / "daemon").mkdir(parents=True)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (unit / "cgroup.controllers").write_text("memory\n")
    (unit / "cgroup.subtree_control").write_text("")
    (unit / "cgroup.procs").write_text("")
    return tmp_path


def member(folder: Path, path: str) -> Path:
    file = folder / "self"
    file.write_text(f"4:memory:/elsewhere\n0::{path}\n")
    return file


def test_the_unit_s_group_is_handed_to_us(tree: Path) -> None:
    found = cgroup.handed_to_us(tree, member(tree, "/user.slice/tunesmith.service/daemon"))
    assert found == tree / "user.slice" / "tunesmith.service"


@pytest.mark.parametrize("path", ["/", "/user.slice/tunesmith.service", "/user.slice/session-3.scope", "/gone/daemon"])
def test_another_s_group_is_left_alone(tree: Path, path: str) -> None:
    assert cgroup.handed_to_us(tree, member(tree, path)) is None


def test_another_system_has_none(tmp_path: Path) -> None:
    assert cgroup.handed_to_us(tmp_path, tmp_path / "missing") is None
    (tmp_path / "self").write_text("4:memory:/only/version/one\n")
    assert cgroup.handed_to_us(tmp_path, tmp_path / "self") is None


def test_beside_version_one_the_tree_lies_deeper(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    for name in ("cgroup.controllers", "user.slice"):
        (tmp_path / name).rename(tmp_path / "unified" / name)
    found = cgroup.handed_to_us(tmp_path, member(tmp_path, "/user.slice/tunesmith.service/daemon"))
    assert found == tmp_path / "unified" / "user.slice" / "tunesmith.service"


def test_memory_limits_are_passed_on_and_leftovers_removed(tree: Path) -> None:
    unit = tree / "user.slice" / "tunesmith.service"
    (unit / "job-3-1").mkdir()
    cgroup.prepare(unit)
    assert (unit / "cgroup.subtree_control").read_text() == "+memory" and not (unit / "job-3-1").exists()


def test_a_worker_s_group_has_its_limit_and_ends_as_one(tmp_path: Path) -> None:
    group = tmp_path / "job-3-1"
    group.mkdir()
    for name in ("memory.max", "memory.oom.group"):
        (group / name).touch()
    assert cgroup.make(tmp_path, "3-1", 1000) == group
    assert (group / "memory.max").read_text() == "1000" and (group / "memory.oom.group").read_text() == "1"
    assert not (group / "memory.high").exists(), "past it a run crawls, and nobody learns why"


def test_without_the_memory_controller_there_is_a_group_all_the_same(tmp_path: Path) -> None:
    group = cgroup.make(tmp_path, "3-1", 1000)
    assert group is not None and list(group.iterdir()) == []


def test_kills_for_memory_are_counted_by_the_group(tmp_path: Path) -> None:
    group = tmp_path / "job-3-1"
    group.mkdir()
    assert cgroup.memory_kills(str(group)) is None
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 31\noom 1\noom_kill 2\noom_group_kill 1\n")
    assert cgroup.memory_kills(str(group)) == 2


@pytest.mark.parametrize("name", ["", "system.slice", "job-1/../system.slice"])
def test_a_record_that_names_another_group_touches_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "job-1").mkdir()
    (tmp_path / "system.slice").mkdir()
    for file in ("cgroup.kill", "memory.events"):
        (tmp_path / "system.slice" / file).write_text("oom_kill 1\n")
    cgroup.kill(str(tmp_path / name) if name else "")
    assert (tmp_path / "system.slice" / "cgroup.kill").read_text() == "oom_kill 1\n"
    assert cgroup.memory_kills(str(tmp_path / name) if name else "") is None


@pytest.fixture
def real() -> Iterator[Path]:
    """A group of this machine's own cgroup 2, where we may make one."""
    for root in (cgroup.MOUNT, cgroup.MOUNT / "unified"):
        place = root / "tunesmith-test"
        try:
            if (root / "cgroup.controllers").exists():
                place.mkdir()
                break
        except OSError:
            continue
    else:
        pytest.skip("no control group can be made here")
    yield place
    for group in place.iterdir():
        if group.is_dir():
            cgroup.remove(group)
    place.rmdir()


def test_a_real_group_is_entered_killed_and_removed(real: Path) -> None:
    group = cgroup.make(real, "3-1", 1 << 30)
    assert group is not None
    # The child leaves its parent's process group and session: only the control group still has it.
    with subprocess.Popen(["/bin/sh", "-c", "setsid sleep 1000 & read -r never"], stdin=subprocess.PIPE) as worker:
        cgroup.enter(group, worker.pid)
        deadline = time.monotonic() + 10
        while len((group / "cgroup.procs").read_text().split()) < 2 and time.monotonic() < deadline:
            worker_children = (group / "cgroup.procs").read_text()
            if str(worker.pid) in worker_children:
                break
            time.sleep(0.01)
        assert str(worker.pid) in (group / "cgroup.procs").read_text().split()
        assert not cgroup.remove(group), "it is not empty"
        cgroup.kill(str(group))
        worker.wait(10)
    deadline = time.monotonic() + 10
    while not cgroup.remove(group):
        assert time.monotonic() < deadline
        time.sleep(0.01)
