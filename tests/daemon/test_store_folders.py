"""Rows and folders of jobs agree after a crash at any moment of a submit or a removal, and without a database too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import database, job_folder
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.store import Store
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.errors import JobError, MachineError
from tunesmith.recipes.spec import JobSpec, complete

SPEC = complete(JobSpec())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(private_folder(tmp_path / "home"))


@pytest.fixture
async def store(home: Home) -> AsyncIterator[Store]:
    made = await Store.open(home)
    yield made
    await made.close()


async def reopened(store: Store) -> Store:
    await store.close()
    again = await Store.open(store.home)
    store._connection, store._thread = again._connection, again._thread  # the fixture closes it
    return again


async def ended(store: Store, key: str) -> int:
    view, _ = await store.add(key, SPEC, Submitted())
    await store.append(view.id, [e.Failed(time=1.0, code="x", message="x")])
    return view.id


CRASHES = {
    "store.before_commit": 0, "submit.folder_made": 0, "store.after_commit": 1, "submit.folder_named": 1,
}  # fmt: skip


@pytest.mark.parametrize(("moment", "there"), CRASHES.items())
async def test_a_submit_is_there_whole_or_not_at_all(daemon: DaemonProcess, moment: str, there: int) -> None:
    daemon.end()
    daemon.environment["TUNESMITH_CRASH_AT"] = moment
    await daemon.start()
    with pytest.raises(Exception, match="does not answer"):
        await daemon.submit("steps=1", key="once")
    assert daemon.process is not None
    await asyncio.to_thread(daemon.process.wait, 20)
    del daemon.environment["TUNESMITH_CRASH_AT"]
    await daemon.start()
    assert len(await daemon.client.jobs()) == there
    assert [path.name for path in (daemon.home.root / "jobs").iterdir()] == ["1"] * there
    assert (await daemon.submit("steps=1", key="once")).id == 1
    await daemon.until(1, "finished")
    findings = (await daemon.client.recovery()).starts[0].findings
    assert moment in ("submit.folder_named",) or {finding.kind for finding in findings} <= {"cleaned", "repaired"}


async def test_a_removal_that_was_not_confirmed_did_not_happen(store: Store) -> None:
    job_id = await ended(store, "key")
    job_folder.mark(store.home, job_id)
    again = await reopened(store)
    assert [view.id for view in again.jobs()] == [job_id]
    assert not (store.home.job(job_id) / job_folder.REMOVED).exists()
    assert [finding.kind for finding in again.findings] == ["repaired"]


async def test_a_folder_that_outlived_its_removal_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await ended(store, "key")
    with monkeypatch.context() as killed:
        killed.setattr(job_folder, "discard", lambda folder: None)
        await store.remove(job_id)
    assert store.home.job(job_id).exists()
    again = await reopened(store)
    assert not store.home.job(job_id).exists() and again.jobs() == []
    assert [finding.kind for finding in again.findings] == ["cleaned"]


async def test_a_full_disk_keeps_a_job_that_was_to_be_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await ended(store, "key")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("tunesmith.daemon.rows.delete", refuse)
        with pytest.raises(MachineError) as refused:
            await store.remove(job_id)
    assert refused.value.code == "disk_full"
    assert store.get(job_id).id == job_id and not (store.home.job(job_id) / job_folder.REMOVED).exists()
    await store.remove(job_id)


@pytest.mark.parametrize("moment", ["make", "settle"])
async def test_a_submit_that_the_disk_refuses_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr(job_folder, moment, refuse)
        with pytest.raises(MachineError) as refused:
            await store.add("key", SPEC, Submitted())
    assert refused.value.code == "disk_error" and refused.value.hint
    assert store.jobs() == [] and list((store.home.root / "jobs").iterdir()) == []
    assert (await store.add("key", SPEC, Submitted()))[1]


async def test_without_its_database_every_job_is_listed_again_from_its_folder(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=4 save=2", key="good")
    await daemon.submit("refuse", key="bad")
    await daemon.submit("steps=2000 step=0.02", key="long")
    for job_id, state in ((1, "finished"), (2, "failed")):
        await daemon.until(job_id, state)
    await daemon.submit("steps=1", key="waiting")
    before = {view.id: view for view in await daemon.client.jobs()}
    await daemon.until_step(3, 2)
    daemon.end(9)
    database.set_aside(daemon.home.database)
    await daemon.start()
    after = {view.id: view for view in await daemon.client.jobs()}
    assert [(view.name, view.state) for view in after.values()] == [
        ("steps=1", "interrupted"), ("steps=2000 step=0.02", "running"), ("refuse", "failed"),
        ("steps=4 save=2", "finished"),
    ]  # fmt: skip
    assert after[1].step == before[1].step and after[2].error == before[2].error
    assert (await daemon.submit("steps=4", key="good")).id == 1  # and whose they were
    assert len(daemon.workers()) == 1  # the one at work was adopted
    await daemon.client.cancel(3)
    await daemon.until(3, "cancelled")
    await daemon.client.resume(4)
    await daemon.until(4, "finished")


async def test_a_folder_that_is_no_job_s_is_left_alone(store: Store) -> None:
    mine = store.home.job(7)
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    again = await reopened(store)
    assert (mine / "notes.txt").read_text() == "mine" and again.jobs() == []
    assert [finding.kind for finding in again.findings] == ["left"]
    assert (await again.add("key", SPEC, Submitted()))[0].id == 8


async def test_a_removed_key_makes_no_second_job(store: Store) -> None:
    await store.remove(await ended(store, "key"))
    with pytest.raises(JobError) as refused:
        await store.add("key", SPEC, Submitted())
    assert refused.value.code == "removed"
