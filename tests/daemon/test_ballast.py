"""What is kept back for a full disk is really there, is freed once, and is laid again when there is room."""

from __future__ import annotations

import collections
import shutil
from pathlib import Path

import pytest

from tunesmith.daemon import ballast
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.ballast import Ballast
from tunesmith.daemon.store import Store
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.errors import JobError, MachineError
from tunesmith.recipes.spec import JobSpec, complete

SIZE = 1 << 20
Usage = collections.namedtuple("Usage", "total used free")


def full() -> None:
    raise MachineError("The disk is full", "Free some space.", "disk_full")


def kept(folder: Path) -> Ballast:
    one = Ballast(folder / "ballast", SIZE)
    one.keep()
    return one


def test_it_takes_up_what_it_says(tmp_path: Path) -> None:
    kept(tmp_path)
    found = (tmp_path / "ballast").stat()
    assert found.st_size == SIZE and found.st_blocks * 512 >= SIZE, "a file of holes would free nothing"
    assert found.st_mode & 0o077 == 0


def test_what_a_full_disk_refused_is_written_in_its_room(tmp_path: Path) -> None:
    tries: list[bool] = []

    def write() -> None:
        tries.append((tmp_path / "ballast").exists())
        if tries[-1]:
            full()

    kept(tmp_path).with_room(write, needed=True)
    assert tries == [True, False]


def test_it_helps_once_and_then_the_error_is_told(tmp_path: Path) -> None:
    one = kept(tmp_path)
    for _ in range(2):
        with pytest.raises(MachineError):
            one.with_room(full, needed=True)
    assert not (tmp_path / "ballast").exists() and not one.spend()


def test_other_errors_leave_it_where_it_is(tmp_path: Path) -> None:
    def refuse() -> None:
        raise JobError("Nobody knows it", "Ask another.")

    with pytest.raises(JobError):
        kept(tmp_path).with_room(refuse, needed=True)
    assert (tmp_path / "ballast").exists()


def test_what_can_wait_does_not_get_its_room(tmp_path: Path) -> None:
    with pytest.raises(MachineError):
        kept(tmp_path).with_room(full, needed=False)
    assert (tmp_path / "ballast").exists()


def test_it_is_laid_again_when_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = kept(tmp_path)
    assert one.spend()
    one.keep()
    assert not (tmp_path / "ballast").exists(), "at once it would take the room back from what has failed"
    monkeypatch.setattr(ballast, "LOOK_EVERY_S", 0.0)
    one.keep()
    assert (tmp_path / "ballast").stat().st_size == SIZE


def test_on_a_nearly_full_disk_none_is_laid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 1 << 40, 3 * SIZE))
    kept(tmp_path)
    assert not (tmp_path / "ballast").exists()


def test_half_of_one_is_no_ballast(tmp_path: Path) -> None:
    (tmp_path / "ballast").write_bytes(b"x")
    kept(tmp_path)
    assert (tmp_path / "ballast").stat().st_size == SIZE


def test_a_file_system_that_cannot_allocate_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, offset: int, size: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(ballast.os, "posix_fallocate", refuse, raising=False)
    kept(tmp_path)
    data = (tmp_path / "ballast").read_bytes()
    assert len(data) == SIZE and len(set(data)) > 200, "zeros would be stored as nothing by some"


async def test_how_a_run_ended_is_recorded_on_a_full_disk(tmp_path: Path) -> None:
    """SQLite's own word for it, without a small disk: a database that may not grow, until the ballast is spent."""
    home = Home(private_folder(tmp_path / "home"))
    store = await Store.open(home)
    assert home.ballast.exists()
    await store.add("key", complete(JobSpec()), Submitted())
    attempt = await store.reserve_attempt(1)
    await store.append(1, [e.Started(time=1.0, attempt=attempt, pid=7)])
    connection, spend = store._connection, store._ballast.spend

    def allowed(pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def spent() -> bool:
        allowed(1 << 30)
        return spend()

    store._ballast.spend = spent  # type: ignore[method-assign]
    await store._run(allowed, 1)  # as few as there are
    noticed = [e.Notice(time=2.0, level="info", text="x" * 100_000)]
    with pytest.raises(MachineError) as refused:
        await store.append(1, noticed)
    assert refused.value.code == "disk_full" and home.ballast.exists()
    failed = e.Failed(time=3.0, code="disk_full", message="y" * 100_000)
    assert await store.append(1, [failed]) == [failed]
    assert store.get(1).state == "failed" and not home.ballast.exists()
    await store.close()
