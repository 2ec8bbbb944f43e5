"""What runs take is shown by kind; what goes is what was asked for, of runs that have ended."""

from __future__ import annotations

from pathlib import Path

from daemon_process import DaemonProcess

from tunesmith.daemon import retention
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.retention import Clean, Sizes
from tunesmith.daemon.api.view import JobView

ALL = {"work": 10, "checkpoints": 20, "journals": 30, "artifacts": 40}


def views(*states: str, ended: float = 0.0) -> list[JobView]:
    return [JobView(number, "run", state=state, ended=ended) for number, state in enumerate(states, 1)]


def chosen(jobs: list[JobView], asked: Clean, now: float = 100.0) -> list[tuple[int, str]]:
    measured = {view.id: Sizes(view.id, **ALL) for view in jobs}
    return [(item.job, item.part) for item in retention.chosen(jobs, measured, asked, now)]


def test_only_what_can_be_made_again_goes_unless_more_is_asked_for() -> None:
    jobs = views("failed")
    assert chosen(jobs, Clean(keep=0)) == [(1, "work"), (1, "checkpoints")]
    everything = Clean(keep=0, journals=True, artifacts=True)
    assert [part for _, part in chosen(jobs, everything)] == ["work", "checkpoints", "journals", "artifacts"]


def test_runs_that_wait_work_or_are_paused_are_left_alone() -> None:
    jobs = views("queued", "running", "pausing", "cancelling", "paused", "finished")
    assert {job for job, _ in chosen(jobs, Clean(keep=0, journals=True, artifacts=True))} == {6}


def test_the_newest_and_the_young_are_kept() -> None:
    jobs = views("failed", "finished", "cancelled", "interrupted")
    assert {job for job, _ in chosen(jobs, Clean(keep=3))} == {1}
    assert chosen(jobs, Clean(keep=0, older_than_s=101.0)) == []
    assert {job for job, _ in chosen(jobs, Clean(keep=0, older_than_s=99.0))} == {1, 2, 3, 4}


def test_a_folder_is_measured_by_kind(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for name, size in (("work-1/a", 3), ("checkpoints/step-1/b", 5), ("artifacts/c", 7), ("journal-1.jsonl", 11)):
        path = home.job(1) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    (home.job(1) / "artifacts" / "elsewhere").symlink_to("/usr")  # counted as a link, not followed
    found = retention.sizes(home, 1)
    assert (found.work, found.checkpoints, found.journals) == (3, 5, 11) and 7 <= found.artifacts < 100


async def test_cleaning_says_first_what_goes_and_the_run_knows_of_it(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=9 save=1 die=5")
    await daemon.until(1, "failed")
    for name in ("work-1", "checkpoints"):
        (daemon.home.job(1) / name).mkdir(exist_ok=True)
        (daemon.home.job(1) / name / "weights").write_bytes(b"x" * 1000)
    planned = await daemon.client.clean(Clean(keep=0))
    assert {item.part for item in planned.items} == {"work", "checkpoints"} and planned.dry_run
    assert (daemon.home.job(1) / "work-1").exists()
    done = await daemon.client.clean(Clean(keep=0, dry_run=False))
    assert done.items == planned.items and done.bytes == planned.bytes == 2000
    assert not (daemon.home.job(1) / "work-1").exists() and not (daemon.home.job(1) / "checkpoints").exists()
    view = await daemon.client.job(1)
    assert view.state == "failed" and view.checkpoint is None
    assert (await daemon.client.clean(Clean(keep=0, dry_run=False))).items == ()
    assert (await daemon.client.sizes())[0].work == 0
