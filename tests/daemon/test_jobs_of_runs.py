"""Jobs of finished runs: they say what they do and of which job, and keep what they begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import job_folder
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.retention import Clean
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.daemon.worker.stages import STAGES, of
from tunesmith.recipes.again import evaluating, exporting, merging
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import (
    EVERY_STAGE,
    STAGES_OF,
    AdapterSpec,
    BenchmarkSpec,
    JobSpec,
    ModelSpec,
    TrainingSpec,
    complete,
    stages_of,
    to_yaml,
)


async def finished(daemon: DaemonProcess, job_id: int = 1) -> Path:
    """The next job, `job_id`, which has trained; its artifacts."""
    await daemon.submit(f"steps={job_id}")
    await daemon.until(job_id, "finished")
    artifacts = daemon.home.job(job_id) / "artifacts"
    (artifacts / "adapter").mkdir(parents=True)
    (artifacts / "adapter" / "weights").write_bytes(b"x" * 1000)
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec(name="steps=400 step=0.05"))))
    return artifacts


async def export(daemon: DaemonProcess, artifacts: Path, name: str = "steps=400 step=0.05") -> JobView:
    spec = msgspec.structs.replace(exporting(artifacts, ("gguf:f16",)), name=name)
    return await daemon.client.submit(Submit(f"key {name}", spec))


def test_worker_and_daemon_know_the_same_stages() -> None:
    assert {task: tuple(name for name, _ in stages) for task, stages in STAGES.items()} == STAGES_OF
    asking = JobSpec(benchmark=BenchmarkSpec(suites=("mmlu",)))
    assert tuple(name for name, _ in of(asking)) == stages_of(asking) == EVERY_STAGE


def test_the_view_has_the_stages_of_its_task_after_every_attempt() -> None:
    view = JobView(2, "export")
    told = (
        e.Queued(time=1.0, task="export", of=1), e.Started(time=2.0, attempt=1, pid=9),
        e.StageStarted(time=3.0, stage="export"), e.StageStarted(time=3.0, stage="train"),
        e.Failed(time=4.0, code="x", message="x"), e.Queued(time=5.0), e.Started(time=6.0, attempt=2, pid=9),
    )  # fmt: skip
    for number, event in enumerate(told, 1):
        view = fold(view, e.Numbered(number, event))
        assert (view.task, view.of) == ("export", 1)
        assert tuple(stage.name for stage in view.stages) == STAGES_OF["export"]


def test_a_training_with_benchmarks_has_one_stage_more_in_every_attempt() -> None:
    view = JobView(2, "run")
    told = (
        e.Queued(time=1.0, stages=EVERY_STAGE), e.Started(time=2.0, attempt=1, pid=9),
        e.StageStarted(time=3.0, stage="benchmark"), e.Failed(time=4.0, code="x", message="x"), e.Queued(time=5.0),
    )  # fmt: skip
    for number, event in enumerate(told, 1):
        view = fold(view, e.Numbered(number, event))
        assert tuple(stage.name for stage in view.stages) == EVERY_STAGE
    assert view.stage("benchmark").state == "waiting"


async def test_the_daemon_tells_the_stages_of_a_recipe(daemon: DaemonProcess) -> None:
    asking = JobSpec(name="toy", benchmark=BenchmarkSpec(suites=("mmlu",)))
    view = await daemon.client.submit(Submit("key", asking))
    assert tuple(stage.name for stage in view.stages) == EVERY_STAGE


def test_an_older_history_is_of_a_training() -> None:
    assert e.decode(b'{"type":"queued","time":1.0}') == e.Queued(time=1.0)
    assert fold(JobView(1, "run"), e.Numbered(1, e.Queued(time=1.0))).task == "train"


def test_which_job_is_begun_with_is_told_by_the_path(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for spec in (
        JobSpec(task="export", of=str(home.job(7) / "artifacts")),
        JobSpec(training=TrainingSpec(start_from=str(home.job(7) / "artifacts" / "adapter"))),
        JobSpec(model=ModelSpec(source=str(home.job(7) / "artifacts" / "merged"))),
    ):
        assert job_folder.begins_with(home, spec) == 7
        on = msgspec.structs.replace(spec, model=ModelSpec(source=str(home.job(6) / "artifacts" / "merged")))
        assert 6 in (job_folder.begins_with(home, on), *job_folder.taken_beside(home, on)), "its base is kept too"
    assert job_folder.begins_with(home, JobSpec()) is None
    assert job_folder.begins_with(home, JobSpec(task="export", of="/elsewhere/7/artifacts")) is None


async def test_a_run_is_kept_while_a_job_uses_what_it_made(daemon: DaemonProcess) -> None:
    artifacts = await finished(daemon)
    view = await export(daemon, artifacts)
    assert (view.id, view.task, view.of) == (2, "export", 1)
    with pytest.raises(TunesmithError) as caught:
        await daemon.client.remove(1)
    assert caught.value.code == "in_use" and "tunesmith jobs cancel 2" in caught.value.hint
    cleaned = await daemon.client.clean(Clean(keep=0, artifacts=True, dry_run=False))
    assert "artifacts" not in {item.part for item in cleaned.items} and (artifacts / "adapter").is_dir()
    await daemon.client.cancel(2)
    await daemon.until(2, "cancelled")
    await daemon.client.remove(1)
    assert not artifacts.exists()


async def test_an_export_is_cancelled_and_resumed_as_any_job(daemon: DaemonProcess) -> None:
    artifacts = await finished(daemon)
    await export(daemon, artifacts, "steps=30 step=0.05")
    await daemon.until(2, "running")
    await daemon.client.cancel(2)
    await daemon.until(2, "cancelled")
    await daemon.client.resume(2)
    await daemon.until(2, "finished")
    view = await daemon.client.job(2)
    assert (view.attempt, view.task, view.of) == (2, "export", 1)


async def test_what_it_is_of_must_be_there_when_it_is_accepted(daemon: DaemonProcess) -> None:
    artifacts = await finished(daemon)
    spec = evaluating(artifacts)
    shutil.rmtree(artifacts / "adapter")
    with pytest.raises(TunesmithError) as caught:
        await daemon.client.submit(Submit("k", spec))
    assert caught.value.code == "nothing_to_start_from"


async def test_every_adapter_that_is_merged_must_be_there(daemon: DaemonProcess, tmp_path: Path) -> None:
    artifacts = await finished(daemon)
    (artifacts / "adapter" / "adapter_config.json").write_text("{}")
    mine = tmp_path / "mine"
    adapters = (AdapterSpec(path=str(artifacts / "adapter")), AdapterSpec(path=str(mine), weight=0.5))
    spec = merging(artifacts, adapters, ("merged",))
    with pytest.raises(TunesmithError, match="There is no adapter in") as caught:
        await daemon.client.submit(Submit("key", spec))
    assert caught.value.code == "no_adapter"
    mine.mkdir()
    (mine / "adapter_config.json").write_text("{}")
    view = await daemon.client.submit(Submit("another key", spec))
    assert (view.task, view.of, view.beside) == ("merge", 1, ())


async def test_runs_whose_adapters_are_merged_are_kept_meanwhile(daemon: DaemonProcess) -> None:
    first, second = await finished(daemon), await finished(daemon, 2)
    for artifacts in (first, second):
        (artifacts / "adapter" / "adapter_config.json").write_text("{}")
    adapters = tuple(AdapterSpec(path=str(artifacts / "adapter")) for artifacts in (first, second))
    view = await daemon.client.submit(Submit("key", merging(first, adapters, ("merged",))))
    assert (view.id, view.of, view.beside) == (3, 1, (2,))
    with pytest.raises(TunesmithError) as caught:
        await daemon.client.remove(2)
    assert caught.value.code == "in_use" and "tunesmith jobs cancel 3" in caught.value.hint


async def test_a_database_made_anew_still_knows_what_a_job_is_of(daemon: DaemonProcess) -> None:
    artifacts = await finished(daemon)
    await export(daemon, artifacts, "steps=1")
    await daemon.until(2, "finished")
    daemon.end()
    daemon.home.database.unlink()
    for beside in daemon.home.root.glob("jobs.sqlite3-*"):
        beside.unlink()
    await daemon.start()
    view = await daemon.client.job(2)
    assert (view.state, view.task, view.of) == ("finished", "export", 1)
