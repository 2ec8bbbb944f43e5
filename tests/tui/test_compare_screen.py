"""Two runs compared on a screen: marked in the table of jobs, laid over each other, told apart without colour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from histories import START, better, failed, finished, training
from live import Alone, FakeClient
from textual.pilot import Pilot
from textual.widgets import Static

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.compare import compare
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.intervals import Interval
from tunesmith.recipes.spec import JobSpec, TrainingSpec, complete
from tunesmith.tui import texts
from tunesmith.tui.screens import jobs as jobs_module
from tunesmith.tui.screens.compare import CompareScreen
from tunesmith.tui.screens.jobs import JobsScreen
from tunesmith.tui.widgets import compared
from tunesmith.tui.widgets.overlaid_losses import overlaid
from tunesmith.tui.widgets.row_table import RowTable

Snap = Callable[..., bool]


@pytest.fixture
def client(tmp_path: Path) -> FakeClient:
    """Runs 1 and 2 have finished, 3 failed, 4 runs, 5 waits."""
    fake = FakeClient(
        identity=finished(), again=better(), broken=failed(), running=training(30), held=[e.Queued(time=START)]
    )
    fake.folder = tmp_path
    for job_id, epochs in ((1, 3), (2, 5), (3, 3), (4, 3), (5, 3)):
        folder = tmp_path / "jobs" / str(job_id)
        folder.mkdir(parents=True)
        spec = complete(JobSpec(name=fake.names[job_id], training=TrainingSpec(epochs=epochs)))
        (folder / "spec.json").write_bytes(msgspec.json.encode(spec))
    return fake


async def opened(pilot: Pilot[None], fake: FakeClient, first: int, second: int) -> CompareScreen:
    screen = CompareScreen(fake.clients, first, second)
    await pilot.app.push_screen(screen)
    for _ in range(200):
        await pilot.pause(0.01)
        if screen.comparison is not None or screen.error is not None:
            break
    await pilot.pause(0.05)
    return screen


def said(screen: CompareScreen, part: str) -> str:
    return str(screen.query_one(f"#compare-{part}", Static).render())


def scored(events: list[e.Event], name: str, before: Interval, *each: float) -> list[e.Event]:
    """A run whose answers have a score too, the `each` of every row."""
    mean = sum(each) / len(each)
    after = Interval(mean, mean - 0.09 * 100, mean + 0.06 * 100)
    made = e.Measured(time=START, name=name, score=name, rows=len(each), top=100.0, before=before, after=after,
                      change=Interval(mean - before.value, 1.0, 2.0), row_scores=each)  # fmt: skip
    return [*events[:-1], made, events[-1]]


@pytest.fixture
def scored_client(client: FakeClient) -> FakeClient:
    """Runs 1 and 2 with scores: chrF in both, ROUGE-L in the second alone."""
    questions = sum(
        isinstance(one, e.Answered) and (one.subject, one.set_name) == ("tuned", "held_out") for one in finished()
    )
    before = Interval(31.0, 24.0, 40.0)
    low, high = [50.0 + row for row in range(questions)], [58.0 + 2 * row for row in range(questions)]
    client.histories[1] = scored(client.histories[1], "chrf", before, *low)
    client.histories[2] = scored(scored(client.histories[2], "chrf", before, *high), "rouge_l", before, *high)
    return client


@pytest.mark.parametrize(
    ("size", "language"), [((120, 36), "en"), ((80, 24), "en"), ((80, 24), "zh"), ((40, 12), "zh")]
)
def test_scores_look_right(snap_compare: Snap, scored_client: FakeClient, size: tuple[int, int], language: str) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await opened(pilot, scored_client, 1, 2)
        screen.query_one("#compare-scores").scroll_visible(animate=False, top=True)
        await pilot.pause(0.1)

    texts.use(language)
    assert snap_compare(Alone(Static()), terminal_size=size, run_before=look)


async def test_scores_are_told_with_the_interval_of_their_difference(scored_client: FakeClient) -> None:
    app = Alone(Static())
    async with app.run_test(size=(120, 40)) as pilot:
        told = said(await opened(pilot, scored_client, 1, 2), "scores")
        chrf = next(line for line in told.splitlines() if line.startswith("chrf"))
        assert "▲ better" in chrf and chrf.count("[") == 3
        assert "—" in next(line for line in told.splitlines() if line.startswith("rouge_l"))
        assert texts.t("compare.scores_paired") in " ".join(told.split())


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["wide", "usual"])
def test_two_runs_look_right(snap_compare: Snap, client: FakeClient, size: tuple[int, int], language: str) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await opened(pilot, client, 1, 2)

    texts.use(language)
    assert snap_compare(Alone(Static()), terminal_size=size, run_before=look)


@pytest.mark.parametrize(
    ("first", "second", "size", "theme"),
    [(3, 4, (80, 24), "tunesmith-dark"), (5, 5, (80, 24), "tunesmith-dark"), (1, 2, (40, 12), "tunesmith-light")],
    ids=["failed-and-busy", "nothing-yet", "tiny-light"],
)
def test_other_states_look_right(
    snap_compare: Snap, client: FakeClient, first: int, second: int, size: tuple[int, int], theme: str
) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await opened(pilot, client, first, second)

    assert snap_compare(Alone(Static(), theme), terminal_size=size, run_before=look)


def test_the_answers_that_changed_look_right(snap_compare: Snap, client: FakeClient) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await opened(pilot, client, 1, 2)
        await pilot.press("end")
        await pilot.pause(0.05)

    assert snap_compare(Alone(Static()), terminal_size=(100, 30), run_before=look)


def id_shown(jobs: JobsScreen, number: int) -> str:
    """What the table has in the first column of that job."""
    column = next(column for column in jobs.query_one(RowTable).columns if column.key == "id")
    return str(column.draw(next(job for job in jobs.jobs if job.id == number)))


async def test_two_marked_jobs_are_compared(client: FakeClient) -> None:
    app = Alone(Static())
    async with app.run_test(size=(110, 24)) as pilot:
        jobs = JobsScreen(client.clients)
        await app.push_screen(jobs)
        await pilot.pause(0.1)
        await pilot.press("v")
        await pilot.pause(0.05)
        assert app.screen is jobs, "it says that two have to be marked"
        await pilot.press(*["down"] * 4, "space", "up", "space")
        assert jobs.marked == (1, 2)
        assert "2 marked: v compares two" in str(jobs.query_one("#jobs-title", Static).render())
        assert id_shown(jobs, 2) == "◆ 2"
        await pilot.press("up", "space", "v")
        await pilot.pause(0.05)
        assert jobs.marked == (1, 2, 3) and app.screen is jobs, "three can be merged, not compared"
        await pilot.press("space", "v")
        await pilot.pause(0.1)
        assert isinstance(app.screen, CompareScreen) and app.screen.runs == (1, 2)
        await pilot.press("escape")
        await pilot.pause(0.05)
        assert app.screen is jobs


async def test_a_mark_stays_over_a_refresh(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "REFRESH_S", 0.02)
    app = Alone(Static())
    async with app.run_test(size=(110, 24)) as pilot:
        jobs = JobsScreen(client.clients)
        await app.push_screen(jobs)
        await pilot.pause(0.1)
        await pilot.press(*["down"] * 4, "space")
        client.histories[6], client.names[6] = [e.Queued(time=START)], "another"
        await pilot.pause(0.2)
        assert id_shown(jobs, 1) == "◆ 1"


async def test_what_differs_and_what_changed_are_told(client: FakeClient) -> None:
    async with Alone(Static()).run_test(size=(110, 40)) as pilot:
        screen = await opened(pilot, client, 1, 2)
        config = said(screen, "config")
        assert "training.epochs" in config and "training.seed" not in config
        assert "✓ -18.2% better" in said(screen, "figures") and "✗" in said(screen, "figures")
        answers = said(screen, "answers")
        assert "1 of 5 answers changed" in answers and "Yes, I am ChatGPT." in answers
        assert "Who made you?" not in answers
        await pilot.press("x")
        await pilot.pause(0.2)
        assert screen.runs == (2, 1) and "+22.2% worse" in said(screen, "figures")


async def test_a_recipe_that_is_gone_is_said_and_the_rest_compared(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "jobs" / "2" / "spec.json").unlink()
    async with Alone(Static()).run_test(size=(110, 40)) as pilot:
        screen = await opened(pilot, client, 1, 2)
        assert "recipe of job 2 cannot be read" in said(screen, "note")
        assert "Held-out loss" in said(screen, "figures")


async def test_an_unknown_run_says_so(client: FakeClient) -> None:
    async with Alone(Static()).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, client, 1, 77)
        assert "no job 77" in said(screen, "note")
        assert not screen.query_one("#compare-figures").display


async def test_a_change_of_language_and_of_size_keep_the_comparison(client: FakeClient) -> None:
    async with Alone(Static()).run_test(size=(110, 40)) as pilot:
        screen = await opened(pilot, client, 1, 2)
        texts.use("zh")
        await screen.recompose()
        for size in ((40, 12), (10, 4), (1, 1), (120, 36)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        assert texts.t("compare.better") in said(screen, "figures")


def test_both_curves_are_there_without_colour() -> None:
    falling = [(float(step), 3.0 - step / 50) for step in range(1, 101)]
    higher = [(x, y + 0.5) for x, y in falling]
    both, one = (overlaid(("a", "b"), (falling, other), 80, 12).plain for other in (higher, []))
    assert "━━ a" in both and "╍╍ b" in both
    dots = [sum(character > "\u2800" for character in text) for text in (both, one)]
    assert dots[0] > dots[1] > 30

    def gaps(curves: tuple[list[tuple[float, float]], list[tuple[float, float]]]) -> int:
        plot = [line[10:] for line in overlaid(("", ""), curves, 80, 12).plain.splitlines()[1:-1]]
        filled = {column for line in plot for column, character in enumerate(line) if character > "\u2800"}
        return len(set(range(min(filled), max(filled))) - filled)

    assert gaps((falling, [])) == 0 and gaps(([], falling)) > 20


@pytest.mark.parametrize("size", [(3, 3), (20, 4), (40, 5), (200, 40)])
@pytest.mark.parametrize("curve", [[], [(1.0, 2.0)], [(1.0, float("nan"))], [(1.0, 2.0), (2.0, 2.0)]])
def test_any_curves_keep_within_their_place(size: tuple[int, int], curve: list[tuple[float, float]]) -> None:
    lines = overlaid(("a", "b"), (curve, curve), *size).split()
    assert len(lines) <= size[1] and all(line.cell_length <= max(size[0], 40) for line in lines)


@pytest.mark.parametrize("width", [20, 40, 71, 72, 100, 160])
def test_tables_keep_within_their_width_with_wide_characters_too(width: int) -> None:
    made = e.Answered(time=0, subject="tuned", row=0, question="请问你是谁？" * 9, answer="我是一个人工智能。" * 30)
    a, b = (
        JobView(n, "名字" * 20, answers=(msgspec.structs.replace(made, answer=made.answer + str(n)),),
                scores=(e.Scored(time=0, subject="tuned", held_out_loss=0.1 * n),))
        for n in (1, 2)
    )  # fmt: skip
    recipes = [complete(JobSpec(name="很长的名字" * n)) for n in (1, 9)]
    found = compare(a, b, *recipes)
    titles = ("任务 1", "任务 2")
    for lines in (
        compared.figures(found.figures, titles, width), compared.differences(found.config, titles, width),
        compared.answers(found, titles, width),
    ):  # fmt: skip
        assert lines and all(line.cell_length <= width for line in lines)
