"""The run step: what it shows of a job in each state, and what its keys do."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from histories import FORECAST, START, STEPS, failed, finished, on_a_machine, train_steps, training, waiting
from live import Alone, FakeClient
from patience import until
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Static

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import DaemonError
from tunesmith.tui import texts
from tunesmith.tui.messages import JobEnded, JobStarted, OpenResult
from tunesmith.tui.screens.run import RunStep
from tunesmith.tui.watch import LinkChanged
from tunesmith.tui.widgets.computing import Computing
from tunesmith.tui.widgets.computing import lines as computing_lines
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.error_panel import ErrorPanel
from tunesmith.tui.widgets.feed import Feed
from tunesmith.tui.widgets.log_view import LogView
from tunesmith.tui.widgets.loss_chart import LossChart
from tunesmith.tui.widgets.metrics import Metrics
from tunesmith.tui.widgets.run_machine import RunMachine, memory_lines
from tunesmith.tui.widgets.stage_chain import StageChain

Snap = Callable[..., bool]


def show(job_id: int) -> Callable[[Pilot[None]], object]:
    async def act(pilot: Pilot[None]) -> None:
        step = pilot.app.query_one(RunStep)
        step.show_job(job_id)
        await until(pilot, lambda: step.view is not None)

    return act


def client() -> FakeClient:
    return FakeClient(identity=training(41), whole=finished(), broken=failed())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (62, 20), (40, 12)])
def test_a_running_job_looks_right(snap_compare: Snap, size: tuple[int, int]) -> None:
    assert snap_compare(Alone(RunStep(client().clients)), terminal_size=size, run_before=show(1))


def test_a_finished_job_looks_right_in_light(snap_compare: Snap) -> None:
    app = Alone(RunStep(client().clients), "tunesmith-light")
    assert snap_compare(app, terminal_size=(100, 30), run_before=show(2))


def test_a_failed_job_looks_right(snap_compare: Snap) -> None:
    assert snap_compare(Alone(RunStep(client().clients)), terminal_size=(80, 24), run_before=show(3))


def test_a_running_job_looks_right_in_chinese(snap_compare: Snap) -> None:
    texts.use("zh")
    assert snap_compare(Alone(RunStep(client().clients)), terminal_size=(80, 24), run_before=show(1))


def test_a_lost_daemon_looks_right(snap_compare: Snap) -> None:
    async def lose(pilot: Pilot[None]) -> None:
        await show(1)(pilot)  # type: ignore[misc]
        pilot.app.query_one(RunStep).post_message(LinkChanged(DaemonError("The daemon does not answer at the socket")))
        await pilot.pause()

    assert snap_compare(Alone(RunStep(client().clients)), terminal_size=(80, 24), run_before=lose)


@pytest.mark.parametrize(
    ("size", "language"), [((80, 24), "en"), ((120, 40), "zh"), ((40, 12), "en")], ids=["en", "wide-zh", "tiny"]
)
def test_a_run_beside_its_forecast_looks_right(snap_compare: Snap, size: tuple[int, int], language: str) -> None:
    texts.use(language)
    fake = FakeClient(identity=on_a_machine(41))
    assert snap_compare(Alone(RunStep(fake.clients)), terminal_size=size, run_before=show(1))


def test_a_job_that_waits_looks_right(snap_compare: Snap) -> None:
    fake = FakeClient(identity=waiting())
    assert snap_compare(Alone(RunStep(fake.clients)), terminal_size=(80, 24), run_before=show(1))


async def test_a_waiting_job_says_why_and_starts_when_a_person_insists() -> None:
    fake = FakeClient(identity=waiting())
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        step = app.query_one(RunStep)
        assert "GPU memory: needs 11.2 GB, 3.1 GB free" in str(step.query_one("#run-waits", Static).visual)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await pilot.pause(0.05)
        assert fake.forced == []
        await pilot.click("#run-waits")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: fake.forced == [1])


async def test_a_job_that_waits_for_nothing_cannot_be_forced() -> None:
    fake = FakeClient(identity=on_a_machine(41))
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        await pilot.press("f")
        await pilot.pause(0.05)
        assert not isinstance(app.screen, Confirm)


async def test_what_was_made_smaller_and_how_the_machine_does_are_shown() -> None:
    fake = FakeClient(identity=on_a_machine(41))
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        await pilot.pause(0.05)
        assert "Checkpointing auto → full" in str(app.query_one("#run-waits", Static).visual)
        text = str(app.query_one(RunMachine).render())
        assert "Forecast" in text and "1.8 GB (1.7–2.0 GB)" in text
        assert "Measured" in text and "1.9 GB (+4%)" in text
        assert all(figure in text for figure in ("93%", "5.1 of 16.0 GB", "98%", "11.2 of 12.0 GB", "71 °C", "212 W"))
        await fake.say(1, e.Finished(time=START + 90, seconds=89))
        await until(pilot, lambda: "71 °C" not in str(app.query_one(RunMachine).render()))


def test_the_panel_shows_each_part_beside_its_forecast() -> None:
    view = msgspec.structs.replace(JobView(1, "identity"), forecast=FORECAST, memory=measured())
    text = "\n".join(line.plain for line in computing_lines(view, 80))
    assert "forecast 538.0 MB" in text and "forecast 873.4 MB" in text  # logits and runtime are measured together


@pytest.mark.parametrize("width", [10, 30, 60, 200])
def test_bars_of_memory_keep_within_their_width(width: int) -> None:
    assert all(line.cell_length <= width for line in memory_lines(FORECAST, measured(), width))
    assert memory_lines(None, measured(), width) == []


def measured() -> e.MemoryMeasured:
    return next(event for event in training(41) if isinstance(event, e.MemoryMeasured))


async def test_the_screen_follows_what_the_worker_says() -> None:
    fake = FakeClient(identity=training(3))
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(100, 30)) as pilot:
        step = app.query_one(RunStep)
        step.show_job(1)
        await until(pilot, lambda: len(app.query_one(LossChart).losses) == 3)
        await fake.say(1, *list(train_steps())[3:])
        await until(pilot, lambda: len(app.query_one(LossChart).losses) == STEPS)
        await fake.say(1, e.Finished(time=START + 90, seconds=89))
        await until(pilot, lambda: any(isinstance(m, JobEnded) for m in app.received))
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(m, OpenResult) for m in app.received))


async def test_a_job_that_had_ended_before_is_not_said_to_end_now() -> None:
    app = Alone(RunStep(client().clients))
    async with app.run_test() as pilot:
        await show(2)(pilot)  # type: ignore[misc]
        await pilot.pause(0.05)
        assert app.received == []


async def test_answers_of_a_model_are_shown_without_its_escape_sequences_or_markup() -> None:
    nasty = e.Answered(time=START, subject="tuned", row=0, question="q", answer="\x1b[2Jhi [bold]there[/bold] [/x]")
    app = Alone(RunStep(FakeClient(run=[*training(1), nasty]).clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        await pilot.pause(0.05)
        text = str(app.query_one(Feed).query_one("Static").render())
        assert "hi [bold]there[/bold] [/x]" in text and "\x1b" not in text


async def test_cancel_asks_first_and_no_is_the_default() -> None:
    fake = client()
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await pilot.pause(0.05)
        assert fake.cancelled == []
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: app.query_one(RunStep).view.state == "cancelled")  # type: ignore[union-attr]
        assert fake.cancelled == [1]
        stages = {stage.name: stage.state for stage in app.query_one(StageChain).stages}
        assert stages["train"] == "stopped"
        assert app.query_one(ErrorPanel).display


async def test_detach_quits_and_cancels_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    fake = client()
    app = Alone(RunStep(fake.clients))
    async with app.run_test() as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        await pilot.press("d")
        await pilot.pause()
    assert fake.cancelled == []
    assert "goes on in the daemon" in capsys.readouterr().err


async def test_the_log_is_read_when_asked_for() -> None:
    app = Alone(RunStep(client().clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        await pilot.press("l")
        await until(pilot, lambda: "loading weights" in app.query_one(LogView).text)
        await pilot.press("l")
        await pilot.pause()
        assert app.query_one(Feed).has_focus


async def test_retry_runs_the_same_recipe_as_a_new_job_and_follows_it() -> None:
    app = Alone(RunStep(client().clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(3)(pilot)  # type: ignore[misc]
        await pilot.press("a")
        await until(pilot, lambda: any(isinstance(m, JobStarted) for m in app.received))
        assert app.query_one(RunStep).job_id == 4


async def test_resume_queues_the_same_job_and_follows_it_on() -> None:
    fake = FakeClient(broken=[*training(41), e.Failed(time=START + 40, code="worker_died", message="Killed")])
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        step = app.query_one(RunStep)
        await until(pilot, lambda: step.view.state == "failed")  # type: ignore[union-attr]
        assert "go on from step 40" in app.query_one(ErrorPanel).keys
        await pilot.press("r")
        await until(pilot, lambda: any(isinstance(m, JobStarted) for m in app.received))
        assert fake.resumed == [1] and fake.submitted == []
        again = e.Started(time=START + 61, attempt=2, pid=4343)
        await fake.say(1, again, e.Resumed(time=START + 62, step=40, attempt=2))
        await until(pilot, lambda: step.view.state == "running" and step.view.resumed is not None)  # type: ignore[union-attr]
        assert not app.query_one(ErrorPanel).display
        assert "went on after step 40" in str(app.query_one("#run-head").render())


async def test_how_it_computes_is_a_key_or_a_click_away() -> None:
    app = Alone(RunStep(client().clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        assert app.query_one("#run-slower").display
        await pilot.press("w")
        await pilot.pause()
        said = str(app.query_one(Computing).query_one("Static").render())
        for text in ("SDPA for each segment", "slower than possible", "off by 2e-4", "195 GFLOP/s", "Activations",
                     "412.0 MB", "Step 40, 29.5 MB"):  # fmt: skip
            assert text in said
        assert app.query_one(Computing).has_focus and not app.query_one("#run-slower").display
        await pilot.press("w")
        await pilot.pause()
        assert app.query_one(Feed).has_focus
        await pilot.click("#run-slower")
        await pilot.pause()
        assert app.query_one(Computing).has_focus


async def test_a_run_on_the_fastest_paths_only_has_no_warning() -> None:
    fast = e.PathsChosen(time=START, paths=(e.PathTaken("loss", "in chunks", "proven equal"),))
    app = Alone(RunStep(FakeClient(run=[e.Queued(time=START), e.Started(time=START, attempt=1, pid=1), fast]).clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        assert not app.query_one("#run-slower").display


@pytest.mark.parametrize(("size", "language"), [((100, 40), "en"), ((80, 24), "zh"), ((40, 12), "en")])
def test_how_it_computes_looks_right(snap_compare: Snap, size: tuple[int, int], language: str) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(1)(pilot)  # type: ignore[misc]
        await pilot.press("w")
        panel = pilot.app.query_one(Computing)
        await until(pilot, lambda: panel.has_focus and panel.virtual_size.height >= panel.size.height > 0)

    texts.use(language)
    assert snap_compare(Alone(RunStep(client().clients)), terminal_size=size, run_before=look)


async def test_a_tiny_terminal_may_be_resized_without_a_crash() -> None:
    app = Alone(RunStep(client().clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        for size in ((40, 12), (10, 4), (1, 1), (200, 60)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        assert app.query_one(LossChart).display


async def test_a_change_of_language_keeps_what_is_shown() -> None:
    app = Alone(RunStep(client().clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        texts.use("zh")
        step = app.query_one(RunStep)
        await step.recompose()
        step.on_recomposed()
        await pilot.pause()
        assert "运行中" in str(app.query_one("#run-head").render())
        assert len(app.query_one(LossChart).losses) == 41


async def test_reasons_are_wrapped_beside_the_scrollbar_at_any_width() -> None:
    app = Alone(RunStep(client().clients))
    async with app.run_test(size=(100, 24)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        await pilot.press("w")
        for columns in range(60, 90):
            await pilot.resize_terminal(columns, 24)
            await pilot.pause(0.05)
            static = app.query_one(Computing).query_one("Static")
            widest = max(line.cell_length for line in static.render().split("\n"))  # type: ignore[union-attr]
            assert widest <= static.size.width


async def test_a_job_that_went_on_elsewhere_is_followed_again_when_it_is_opened() -> None:
    fake = FakeClient(stopped=[*training(41), e.Cancelled(time=START + 40)])
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(100, 30)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        step = app.query_one(RunStep)
        await until(pilot, lambda: step.view.state == "cancelled")  # type: ignore[union-attr]
        await fake.say(1, e.Queued(time=START + 60), e.Started(time=START + 61, attempt=2, pid=4343))
        step.show_job(1)
        await until(pilot, lambda: step.view.state == "running")  # type: ignore[union-attr]


async def test_a_run_behind_another_step_is_not_drawn_and_is_up_to_date_when_it_is_opened_again() -> None:
    client = FakeClient(identity=training(9))
    step = RunStep(client.clients)
    app = Alone(step)
    async with app.run_test(size=(120, 36)) as pilot:
        step.show_job(1)
        await until(pilot, lambda: step.query_one(Metrics).step is not None)
        before = step.query_one(Metrics).step
        step.display = False
        steps = list(train_steps(41))
        await client.say(1, *steps[9:])
        await until(pilot, lambda: step.view is not None and step.view.step == steps[-1])
        assert step.query_one(Metrics).step == before
        step.show_job(1)
        step.display = True
        await pilot.pause()
        assert step.query_one(Metrics).step == steps[-1]
        assert "41/72" in step.query_one(Metrics).render().plain


async def test_lines_are_laid_out_again_only_where_their_number_changes() -> None:
    laid_out: list[int] = []

    class Watched(Metrics):
        def refresh(self, *regions: Region, layout: bool = False, **more: bool) -> Watched:
            laid_out.extend([1] if layout else [])
            super().refresh(*regions, layout=layout, **more)
            return self

    metrics = Watched()
    async with Alone(metrics).run_test(size=(120, 10)) as pilot:
        metrics.step, *others = train_steps(3)
        await pilot.pause()
        assert metrics.size.height == 2
        laid_out.clear()
        for metrics.step in others:
            await pilot.pause()
        assert laid_out == []
        metrics.step = None
        await pilot.pause()
        assert laid_out and metrics.size.height == 0
