"""C2: a damaged, older, newer or foreign database: it works, or it is refused in a sentence and left untouched."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import aftermath
import history
import pytest
from daemon_process import DaemonProcess
from dice import SEED, dice, times

from tunesmith.daemon import migrations
from tunesmith.recipes.errors import TunesmithError

PAGE = 4096
NO_VIEW = "UPDATE jobs SET view = NULL"
EVENT = "UPDATE events SET body = CAST({} AS BLOB) WHERE number = 2"
Damage = Callable[[Path, random.Random], None]  # done to the database at a path


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def flip(path: Path, at: int) -> None:
    overwrite(path, at, bytes([path.read_bytes()[at] ^ 0x10]))


def changed(path: Path, *statements: str) -> None:
    """All in one file, then changed as a program could."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for statement in statements:
            connection.execute(statement)


def whole(path: Path) -> Path:
    changed(path)
    return path


def pages(path: Path) -> int:
    return path.stat().st_size // PAGE


def older(path: Path, rolls: random.Random) -> None:
    """As the first version wrote it."""
    for each in (path, wal(path)):
        each.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN;{migrations.STEPS[0]};PRAGMA user_version = 1;COMMIT;")


def shortened(path: Path, size: int) -> None:
    os.truncate(path, size)


def replaced(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def size_of_log(path: Path) -> int:
    return wal(path).stat().st_size


FIXED: dict[str, Damage] = {
    "nothing at all": lambda path, rolls: None,
    "an empty file": lambda path, rolls: replaced(path, b""),
    "one byte": lambda path, rolls: replaced(path, b"S"),
    "text": lambda path, rolls: replaced(path, b"this is no database\n" * 500),
    "half of it": lambda path, rolls: shortened(whole(path), pages(path) // 2 * PAGE),
    "no header": lambda path, rolls: overwrite(whole(path), 0, bytes(100)),
    "a schema of an older version": older,
    "a schema of a newer version": lambda path, rolls: changed(path, "PRAGMA user_version = 99"),
    "another program's": lambda path, rolls: changed(path, "PRAGMA application_id = 7"),
    "a missing table": lambda path, rolls: changed(path, "DROP TABLE events"),
    "a state nobody knows": lambda path, rolls: changed(path, "UPDATE jobs SET state = 'x', view = NULL"),
    "an event nobody knows": lambda path, rolls: changed(path, NO_VIEW, EVENT.format('\'{"type":"x"}\'')),
    "an event that is no JSON": lambda path, rolls: changed(path, NO_VIEW, EVENT.format("x'ff00'")),
    "a view that is no JSON": lambda path, rolls: changed(path, "UPDATE jobs SET view = x'7b7b'"),
    "no write-ahead log": lambda path, rolls: wal(path).unlink(),
    "an empty write-ahead log": lambda path, rolls: replaced(wal(path), b""),
    "a write-ahead log of zeros": lambda path, rolls: replaced(wal(path), bytes(size_of_log(path))),
    "a write-ahead log of text": lambda path, rolls: replaced(wal(path), b"no log\n" * 900),
    "a garbled index of the log": lambda path, rolls: replaced(
        path.with_name(path.name + "-shm"), rolls.randbytes(8 * PAGE)
    ),
}
ROLLED: dict[str, Damage] = {
    "a page of zeros": lambda path, rolls: overwrite(whole(path), rolls.randrange(pages(path)) * PAGE, bytes(PAGE)),
    "a page of garbage": lambda path, rolls: overwrite(
        whole(path), rolls.randrange(1, pages(path)) * PAGE, rolls.randbytes(PAGE)
    ),
    "a flipped bit": lambda path, rolls: flip(whole(path), rolls.randrange(path.stat().st_size)),
    "a flipped bit in the log": lambda path, rolls: flip(wal(path), rolls.randrange(size_of_log(path))),
    "a log cut off": lambda path, rolls: shortened(wal(path), rolls.randrange(size_of_log(path))),
}
ROLLS = 11


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with finished, cancelled and waiting jobs whose daemon was killed: its log is not written back yet."""
    home = tmp_path_factory.mktemp("kept") / "home"

    async def fill() -> None:
        daemon = DaemonProcess(home, TUNESMITH_WORKER_MODULE="toy_chain")
        await daemon.start()
        for key in ("a", "b"):
            view = await daemon.submit("steps=40 step=0", key=key)
            await daemon.until(view.id, "finished")
        daemon.room(free_bytes=0, host_free_bytes=0)
        await daemon.client.cancel((await daemon.submit("steps=1", key="c")).id)
        await daemon.submit("steps=1", key="d")
        daemon.end(signal.SIGKILL)
        await daemon.client.close()

    asyncio.run(fill())
    assert wal(home / "jobs.sqlite3").stat().st_size > PAGE
    return home


def fingerprint(home: Path) -> dict[str, str]:
    """Of the database and its log. The log's index is made anew from them, and a log without a byte is none."""
    both = (home / "jobs.sqlite3", wal(home / "jobs.sqlite3"))
    files = [path for path in both if path.exists() and (path == both[0] or path.stat().st_size)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def damages() -> list[tuple[str, Damage, int]]:
    rolled = [(name, ROLLED[name], roll) for roll, name in enumerate(list(ROLLED) * times(ROLLS))]
    return [(name, damage, 0) for name, damage in FIXED.items()] + rolled[: times(ROLLS)]


async def outcome(daemon: DaemonProcess) -> str:
    """`refused` or `works`; anything else is an assertion."""
    daemon.process = daemon.spawn()
    until = time.monotonic() + 60
    while not await daemon.client.healthy():
        if daemon.process.poll() is not None:
            said = daemon.process.communicate()[1]
            assert daemon.process.returncode == 1 and "error: " in said and "hint: " in said, said
            assert "Traceback" not in said, said
            return "refused"
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    return "works"


async def used(daemon: DaemonProcess) -> None:
    """Everything that reads or writes the database; an error is a typed one."""
    try:
        for view in await daemon.client.jobs():
            whole_view = await daemon.client.job(view.id)
            assert whole_view.ended_already or whole_view.state in ("queued", "running")
        view = await daemon.submit("steps=2 step=0", key="new")
        await daemon.until(view.id, "finished", "failed")
    except TunesmithError as error:
        assert error.code != "internal" and error.hint, (error.code, error)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage", "roll"), [pytest.param(*each, id=each[0]) for each in damages()])
async def test_a_damaged_database_works_or_is_refused_untouched(
    tmp_path: Path, kept: Path, name: str, damage: Damage, roll: int
) -> None:
    home = tmp_path / "home"
    shutil.copytree(kept, home, symlinks=True, ignore=shutil.ignore_patterns("run"))
    (home / "room.json").unlink(missing_ok=True)
    damage(home / "jobs.sqlite3", dice(f"C2 {name} {roll}"))
    before = fingerprint(home)
    daemon = DaemonProcess(home, TUNESMITH_WORKER_MODULE="toy_chain")
    how = await outcome(daemon)
    print(f"{name} (roll {roll}, seed {SEED}): {how}")
    if how == "refused":
        assert fingerprint(home) == before
        await daemon.client.close()
        return
    await used(daemon)
    await daemon.client.close()
    assert daemon.end() == 0
    if name in ("nothing at all", "a garbled index of the log"):
        promised = [history.Acknowledged(key, job) for job, key in enumerate("abcd", start=1)]
        assert aftermath.at_rest(daemon.home, promised) == []
