"""The database file: damaged, newer and foreign ones are refused untouched, older ones updated after a copy."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import database, migrations
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.store import Store
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.errors import DaemonError, TunesmithError
from tunesmith.recipes.spec import JobSpec, complete


def first_schema(path: Path) -> None:
    """As the first version left it, with one job."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"{migrations.STEPS[0]} PRAGMA user_version = 1;")
        connection.execute("INSERT INTO jobs (id, key, name, state, created) VALUES (1, 'old', 'run', 'queued', 1.0)")
        connection.execute("INSERT INTO events VALUES (1, 1, ?)", (e.encode(e.Queued(time=1.0)),))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def test_an_older_one_is_brought_up_to_date_and_a_copy_kept(tmp_path: Path) -> None:
    home = Home(private_folder(tmp_path))
    first_schema(home.database)
    store = await Store.open(home)
    assert [(view.id, view.name) for view in store.jobs()] == [(1, "run")] and store.known("old") == 1
    await store.close()
    backup = migrations.newest_backup(home.database)
    assert backup is not None
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute("SELECT key FROM jobs").fetchall() == [("old",)]
    with closing(sqlite3.connect(home.database)) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (len(migrations.STEPS),)
        assert now.execute("PRAGMA application_id").fetchone() == (migrations.APPLICATION,)
    assert not list(tmp_path.glob(".*staged*"))


# Ends as if the power went in the middle of a write, before the write-ahead log is on: pages are changed already.
HALF_DONE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE jobs SET name = 'half'")
connection.executemany("INSERT INTO events VALUES (1, ?, ?)", ((number, bytes(4000)) for number in range(2, 200)))
os._exit(9)
"""


async def test_what_a_power_cut_left_half_done_before_the_log_was_on_is_undone(tmp_path: Path) -> None:
    home = Home(private_folder(tmp_path))
    first_schema(home.database)
    assert subprocess.run([sys.executable, "-c", HALF_DONE, str(home.database)]).returncode == 9
    assert home.database.with_name("jobs.sqlite3-journal").stat().st_size > 0
    store = await Store.open(home)
    assert [(view.id, view.name, view.last_event) for view in store.jobs()] == [(1, "run", 1)]
    await store.close()


def test_the_copy_is_synced_before_the_schema_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.sqlite3"
    first_schema(path)

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("tunesmith.daemon.migrations.os.fsync", fail)
    with pytest.raises(TunesmithError):
        database.opened(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert migrations.newest_backup(path) is None


@pytest.mark.parametrize(
    ("pragma", "code"), [("user_version = 99", "newer_version"), ("application_id = 7", "foreign_database")]
)
def test_what_is_not_known_is_left_as_it_was(tmp_path: Path, pragma: str, code: str) -> None:
    path = tmp_path / "jobs.sqlite3"
    first_schema(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    before = files(tmp_path)
    with pytest.raises(DaemonError) as refused:
        database.opened(path)
    assert refused.value.code == code and refused.value.hint
    assert files(tmp_path) == before


def damaged(path: Path) -> None:
    """One page in the middle is noise."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(range(256)) * 16
    path.write_bytes(data)


def test_a_damaged_page_is_found_at_the_start_and_the_copy_named(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    first_schema(path)
    database.opened(path).close()
    damaged(path)
    before = files(tmp_path)
    with pytest.raises(DaemonError) as refused:
        database.opened(path)
    assert refused.value.code == "database_damaged" and "--rebuild" in refused.value.hint
    assert str(migrations.newest_backup(path)) in refused.value.hint
    assert files(tmp_path) == before


def test_a_log_without_its_database_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    path.with_name("jobs.sqlite3-wal").write_bytes(b"of another database")
    database.opened(path).close()
    (aside,) = tmp_path.glob("*.aside-*-wal")
    assert aside.read_bytes() == b"of another database"


async def test_damage_in_the_middle_of_work_is_said_and_the_daemon_lives(daemon: DaemonProcess) -> None:
    for _ in range(3):
        await daemon.submit("steps=300 step=0.001")
    views = [await daemon.until(number, "finished") for number in (1, 2, 3)]
    assert views
    with daemon.home.database.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    wal = daemon.home.database.with_name(daemon.home.database.name + "-wal")
    wal.write_bytes(b"")
    codes = set()
    for _ in range(5):
        try:
            await daemon.submit("steps=1")
            await daemon.client.job(1)
        except TunesmithError as error:
            codes.add(error.code)
    assert await daemon.client.healthy()
    assert codes <= {"database_damaged", "disk_error"}


async def test_an_error_of_the_database_is_typed(tmp_path: Path) -> None:
    store = await Store.open(Home(private_folder(tmp_path)))
    await store.add("key", complete(JobSpec()), Submitted())

    def corrupt() -> None:
        store._connection.execute("PRAGMA writable_schema = ON")
        store._connection.execute("UPDATE sqlite_master SET rootpage = 99999 WHERE name = 'events'")

    await store._run(corrupt)
    await store.close()
    with pytest.raises(DaemonError) as refused:
        await Store.open(store.home)
    assert refused.value.code == "database_damaged"
