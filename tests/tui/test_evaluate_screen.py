"""A finished run evaluated from its result: what is chosen, refused and submitted, by keyboard and by mouse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from histories import START, finished, training
from live import Alone, FakeClient
from patience import notices, until
from planned import on_cpu, unplanned
from textual.pilot import Pilot
from textual.widgets import Button, Checkbox, Input, Select, Static

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import JobView, StageView
from tunesmith.recipes.errors import DataError, TunesmithError
from tunesmith.recipes.intervals import Interval
from tunesmith.recipes.spec import BenchmarkSpec, JobSpec, complete, to_yaml
from tunesmith.tui import app as app_module
from tunesmith.tui import texts
from tunesmith.tui.forms import GATE, LIMIT, SCORES
from tunesmith.tui.messages import JobStarted, OpenResult, OpenRun
from tunesmith.tui.screens.evaluate import EvaluateScreen
from tunesmith.tui.screens.pick import PickScreen
from tunesmith.tui.screens.result import ResultStep
from tunesmith.tui.screens.run import can_finish
from tunesmith.tui.widgets.artifact_list import ArtifactList
from tunesmith.tui.widgets.choice_row import ChoiceRow
from tunesmith.tui.widgets.job_link import JobLink
from tunesmith.tui.widgets.later_evaluations import LaterEvaluations
from tunesmith.tui.widgets.value_row import ValueRow

Snap = Callable[..., bool]


class Windowed(Alone):
    """With the wizard's own styles, which windows share."""

    CSS_PATH = str(Path(app_module.__file__).with_name("app.tcss"))


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNESMITH_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client(tmp_path: Path) -> FakeClient:
    """Run 1 has finished, 2 is at work."""
    fake = FakeClient(identity=finished(), running=training(9))
    fake.folder = tmp_path
    artifacts = tmp_path / "jobs/1/artifacts"
    (artifacts / "adapter").mkdir(parents=True)
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec(name="identity"))))
    return fake


def of_run(fake: FakeClient) -> Windowed:
    return Windowed(ResultStep(fake.clients, unplanned(fake.folder, on_cpu(32, 24))))


async def result(pilot: Pilot[None], job_id: int = 1) -> ResultStep:
    step = pilot.app.query_one(ResultStep)
    step.show_job(job_id)
    await until(pilot, lambda: step.view is not None and step.query_one("#result-actions").display)
    return step


async def window(pilot: Pilot[None]) -> EvaluateScreen:
    """Once keys go to it."""
    await until(
        pilot, lambda: isinstance(pilot.app.screen, EvaluateScreen) and isinstance(pilot.app.focused, ChoiceRow)
    )
    assert isinstance(pilot.app.screen, EvaluateScreen)
    return pilot.app.screen


async def opened(pilot: Pilot[None]) -> EvaluateScreen:
    await result(pilot)
    await pilot.press("e")
    return await window(pilot)


def shown(screen: EvaluateScreen, name: str) -> str:
    part = screen.query_one(name, Static)
    return str(part.visual) if part.display else ""


def row(screen: EvaluateScreen, key: str) -> ValueRow:
    return next(one for one in screen.query(ValueRow) if one.value.key == key)


def type_in(screen: EvaluateScreen, key: str, text: str) -> None:
    row(screen, key).query_one(Input).value = text


@pytest.mark.parametrize(
    ("size", "language", "keys"),
    [
        ((80, 24), "en", ("tab", *"gsm8k")),
        ((100, 40), "zh", ("tab", *"gsm8k,mmlu")),
        ((40, 12), "en", ("right", "tab")),
        ((80, 24), "zh", ("tab", *"gsm9k")),
    ],
    ids=["usual", "roomy-zh", "tiny-rows", "wrong-zh"],
)
def test_a_run_s_evaluation_looks_right(
    snap_compare: Snap, client: FakeClient, size: tuple[int, int], language: str, keys: tuple[str, ...]
) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await opened(pilot)
        for field in screen.query(Input):
            field.cursor_blink = False
        await pilot.press(*("comma" if key == "," else key for key in keys))
        await pilot.pause(0.1)

    texts.use(language)
    assert snap_compare(of_run(client), terminal_size=size, run_before=look)


async def test_benchmarks_are_chosen_and_asked_by_keyboard(client: FakeClient) -> None:
    app = of_run(client)
    async with app.run_test(size=(100, 50)) as pilot:
        screen = await opened(pilot)
        assert "Nothing is chosen yet" in shown(screen, "#evaluate-needs") and not row(screen, GATE).display
        await pilot.press("ctrl+n")
        assert app.screen is screen and screen.query_one("#evaluate", Button).disabled
        await pilot.press("tab", *"gsm8k")
        await until(pilot, lambda: screen.query_one("#suite-gsm8k", Checkbox).value)
        type_in(screen, LIMIT, "50")
        for key, text in (("benchmark.base", "yes"), ("benchmark.variant", "q8_0")):
            row(screen, key).query_one(Select).value = text
        type_in(screen, GATE, "gsm8k < before.gsm8k")
        said = "tunesmith eval 1:q8_0 --suite gsm8k --limit 50 --base --fail-if 'gsm8k < before.gsm8k'"
        await until(pilot, lambda: shown(screen, "#evaluate-command") == said)
        told = shown(screen, "#benchmark-needs")
        for part in ("50 questions to each of 2 models", "of memory beside", "83.0 MB", "Hugging Face"):
            assert part in told
        assert "fits" in shown(screen, "#evaluate-needs") and "of 24.0 GB free" in shown(screen, "#evaluate-needs")
        await pilot.press("ctrl+y")
        await until(pilot, lambda: app.clipboard == said)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: [m.job_id for m in app.received if isinstance(m, JobStarted)] == [3])
    (request,) = client.submitted
    asked = BenchmarkSpec(suites=("gsm8k",), limit=50, base=True, variant="q8_0")
    assert (request.spec.task, request.spec.benchmark, request.force) == ("benchmark", asked, False)
    assert request.spec.of == str(client.folder / "jobs/1/artifacts")


async def test_rows_of_one_s_own_are_scored_by_mouse_alone(client: FakeClient, tmp_path: Path) -> None:
    rows = tmp_path / "mine.jsonl"
    rows.write_text('{"query": "Who?", "response": "Vesper"}\n')
    app = of_run(client)
    async with app.run_test(size=(100, 50)) as pilot:
        await result(pilot)
        await pilot.click("#evaluate")
        screen = await window(pilot)
        await pilot.click("ChoiceRow Choice:last-of-type")
        await until(pilot, lambda: shown(screen, "#evaluate-command") == "tunesmith eval 1")
        await pilot.click("#browse")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        app.screen.dismiss(rows)
        await until(pilot, lambda: app.screen is screen)
        await pilot.click("#score-chrf")
        said = f"tunesmith eval 1 --data {rows} --scores chrf"
        await until(pilot, lambda: shown(screen, "#evaluate-command") == said)
        assert row(screen, SCORES).query_one(Input).value == "chrf"
        await pilot.click("#copy")
        await until(pilot, lambda: app.clipboard == said)
        await pilot.click("#evaluate")
        await until(pilot, lambda: client.submitted)
    (request,) = client.submitted
    assert (request.spec.task, request.spec.data.held_out) == ("evaluate", str(rows))
    assert request.spec.evaluation.scores == ("chrf",)


async def test_what_is_wrong_is_marked_where_it_stands_and_nothing_can_be_started(client: FakeClient) -> None:
    app = of_run(client)
    async with app.run_test(size=(100, 50)) as pilot:
        screen = await opened(pilot)
        await pilot.press("tab", *"gsm8k")
        type_in(screen, LIMIT, "0")
        await until(pilot, lambda: "benchmark.limit is out of range" in shown(screen, "#evaluate-trouble"))
        marks = {one.value.key: str(one.query_one(".field-mark", Static).visual) for one in screen.query(ValueRow)}
        assert [key for key, mark in marks.items() if "✗" in mark] == [LIMIT]
        await pilot.press("ctrl+n", "ctrl+y")
        assert app.screen is screen and app.clipboard == "" and screen.query_one("#evaluate", Button).disabled
        type_in(screen, LIMIT, "all")
        await until(pilot, lambda: not screen.query_one("#evaluate", Button).disabled)
        assert not shown(screen, "#evaluate-trouble")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)
    assert client.submitted == []


async def test_a_file_that_is_not_there_is_said_before_it_is_submitted(client: FakeClient, tmp_path: Path) -> None:
    async with of_run(client).run_test(size=(100, 50)) as pilot:
        screen = await opened(pilot)
        await pilot.press("right")
        screen.query_one("#evaluate-data", Input).value = str(tmp_path / "none.jsonl")
        await until(pilot, lambda: "none.jsonl" in shown(screen, "#evaluate-trouble"))
        screen.query_one("#evaluate-data", Input).value = ""
        await until(pilot, lambda: not shown(screen, "#evaluate-trouble"))


async def test_a_refusal_of_the_daemon_stays_in_the_window_and_the_same_again_is_the_same_job(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with of_run(client).run_test(size=(100, 50)) as pilot:
        screen = await opened(pilot)
        await pilot.press("tab", *"arc")
        await until(pilot, lambda: screen.spec is not None)
        lost, submit = [], client.submit

        async def loses(request: object) -> object:
            lost.append(request)
            raise TunesmithError("The answer was lost", "Ask again.")

        monkeypatch.setattr(client, "submit", loses)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "Ask again" in shown(screen, "#evaluate-trouble"))
        monkeypatch.setattr(client, "submit", submit)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: client.submitted)
        assert client.submitted == lost


async def test_what_is_typed_outlives_a_change_of_language(client: FakeClient) -> None:
    async with of_run(client).run_test(size=(100, 50)) as pilot:
        screen = await opened(pilot)
        await pilot.press("tab", *"arc")
        await pilot.press("shift+tab", "right")
        screen.query_one("#evaluate-data", Input).value = "rows.jsonl"
        await until(pilot, lambda: "rows.jsonl" in shown(screen, "#evaluate-command"))
        texts.use("zh")
        await screen.recompose()
        await until(pilot, lambda: "rows.jsonl" in shown(screen, "#evaluate-command"))
        assert screen.query_one("#evaluate-data", Input).value == "rows.jsonl"
        await pilot.press("left")
        await until(pilot, lambda: shown(screen, "#evaluate-command") == "tunesmith eval 1 --suite arc")
        assert "评估" in screen.query_one("#evaluate", Button).label.plain


async def test_each_value_is_explained_where_it_is_looked_at(client: FakeClient) -> None:
    async with of_run(client).run_test(size=(100, 50)) as pilot:
        screen = await opened(pilot)
        for key, said in (("tab", "The run's model is asked these"), ("shift+tab", "questions of your own")):
            await pilot.press(key)
            await until(pilot, lambda said=said: said in shown(screen, "#evaluate-explanation"))
        await pilot.press("right", "tab")
        await until(pilot, lambda: "kept away from training" in shown(screen, "#evaluate-explanation"))


async def test_a_run_that_cannot_be_evaluated_says_why(client: FakeClient) -> None:
    app = of_run(client)
    async with app.run_test(size=(100, 50)) as pilot:
        step = await result(pilot, 2)
        assert step.query_one("#evaluate", Button).disabled and not step.check_action("evaluate", ())
        (client.folder / "jobs/1/artifacts/adapter").rmdir()
        await result(pilot)
        await pilot.press("e")
        await until(pilot, lambda: any("neither its adapter nor its merged" in one for one in notices(pilot)))
        client.down = True
        await pilot.press("e")
        await until(pilot, lambda: any("does not answer" in one for one in notices(pilot)))


def asked(state: e.Event) -> list[e.Event]:
    """A job that asked run 1 a benchmark."""
    figure = Interval(0.41, 0.30, 0.52)
    return [
        e.Queued(time=START, task="benchmark", of=1, stages=("fetch", "evaluate")),
        e.Started(time=START, attempt=1, pid=1),
        e.Benchmarked(
            time=START, suite="gsm8k", title="GSM8K", subject="tuned", model="run-1", tool="lm-eval 0.4.13",
            metric="exact_match", questions=50, figure=figure, standard_error=0.05,
        ),
        state,
    ]  # fmt: skip


async def test_what_came_of_it_stands_in_the_result_of_the_run_and_leads_there_and_back(client: FakeClient) -> None:
    client.histories |= {
        3: asked(e.Finished(time=START + 9, seconds=9)),
        4: asked(e.Failed(time=START + 9, code="gate_failed", message="no", hint="")),
    }
    client.names |= {3: "benchmark identity", 4: "gated"}
    app = of_run(client)
    async with app.run_test(size=(100, 60)) as pilot:
        step = await result(pilot)
        await until(pilot, lambda: len(step.query("LaterEvaluations JobLink")) == 2)
        links = list(step.query_one(LaterEvaluations).query(JobLink))
        assert [link.job_id for link in links] == [4, 3] and "benchmark identity" in str(links[1].visual)
        figures = step.query_one(LaterEvaluations).query("ScoreSummary")
        assert "0.410 [0.300 … 0.520]" in str(figures.last().render())
        links[1].focus()
        await pilot.press("enter")
        links[0].scroll_visible(animate=False)
        await pilot.pause()
        await pilot.click(links[0])
        await until(pilot, lambda: len(app.received) == 2)
        opened_jobs = [(type(one), one.job_id) for one in app.received if isinstance(one, OpenResult | OpenRun)]
        assert opened_jobs == [(OpenResult, 3), (OpenRun, 4)]
        step = await result(pilot, 3)
        await until(pilot, lambda: step.view is not None and step.view.id == 3 and not step.later)
        assert not step.query_one(ArtifactList).display and not step.query_one(LaterEvaluations).display
        assert not step.query_one("#result-cards").display and not step.query_one("#held-out").display
        step.query_one("#result-of", JobLink).focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.received[-1].job_id == 1)
        await pilot.press("e")
        screen = await window(pilot)
        assert screen.form.found.run.id == 1, "what is evaluated is the run behind"


async def test_a_very_small_terminal_does_not_break(client: FakeClient) -> None:
    async with of_run(client).run_test(size=(40, 12)) as pilot:
        screen = await opened(pilot)
        await pilot.press("tab", *"arc", "tab", "space")
        await until(pilot, lambda: screen.spec is None or screen.query_one("#suite-arc", Checkbox).value is False)
        await pilot.resize_terminal(20, 5)
        await pilot.press("shift+tab", "shift+tab", "right")
        await until(pilot, lambda: screen.form.kind == "rows")


async def test_the_daemon_s_error_is_told_in_the_person_s_language(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts.use("zh")
    async with of_run(client).run_test(size=(100, 50)) as pilot:
        screen = await opened(pilot)
        await pilot.press("right")
        await until(pilot, lambda: screen.spec is not None)

        async def refuses(request: object) -> object:
            raise DataError("The data file x is empty", "Give a file with a row a line.", "data_empty")

        monkeypatch.setattr(client, "submit", refuses)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "The data file x is empty" in shown(screen, "#evaluate-trouble"))
        assert "原文" in shown(screen, "#evaluate-trouble") or "数据" in shown(screen, "#evaluate-trouble")


def test_a_job_that_trains_nothing_has_no_training_to_finish() -> None:
    stages = tuple(StageView(name) for name in ("fetch", "evaluate"))
    assert not can_finish(JobView(3, "benchmark", state="running", task="benchmark", stages=stages))
