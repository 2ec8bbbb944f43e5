"""The result step: before and after, verification, files, and the way to run it again."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from histories import failed, finished, training
from live import Alone, FakeClient
from planned import unplanned
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Button

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import wording
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.intervals import Interval
from tunesmith.recipes.words import say
from tunesmith.tui import texts
from tunesmith.tui.messages import OpenChat
from tunesmith.tui.screens.result import ResultStep, command
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.answer_table import table
from tunesmith.tui.widgets.artifact_list import ArtifactList
from tunesmith.tui.widgets.score_summary import held as gate_lines
from tunesmith.tui.widgets.score_summary import measured as figures
from tunesmith.tui.widgets.verification_card import LABEL_CELLS, VerificationCard

Snap = Callable[..., bool]


def show(job_id: int) -> Callable[[Pilot[None]], object]:
    async def act(pilot: Pilot[None]) -> None:
        step = pilot.app.query_one(ResultStep)
        step.show_job(job_id)
        for _ in range(200):
            await pilot.pause(0.01)
            if step.view is not None:
                break
        await pilot.pause(0.05)

    return act


def client() -> FakeClient:
    return FakeClient(whole=finished(), broken=failed(), running=training(9))


@pytest.mark.parametrize("size", [(100, 64), (62, 80), (80, 24), (40, 12)])
def test_a_result_looks_right(snap_compare: Snap, size: tuple[int, int]) -> None:
    assert snap_compare(Alone(ResultStep(client().clients, unplanned())), terminal_size=size, run_before=show(1))


def test_a_result_looks_right_in_chinese_and_light(snap_compare: Snap) -> None:
    texts.use("zh")
    app = Alone(ResultStep(client().clients, unplanned()), "tunesmith-light")
    assert snap_compare(app, terminal_size=(100, 64), run_before=show(1))


def test_no_result_yet_looks_right(snap_compare: Snap) -> None:
    assert snap_compare(Alone(ResultStep(client().clients, unplanned())), terminal_size=(80, 24))


async def test_every_verification_has_a_card_and_chat_is_offered() -> None:
    app = Alone(ResultStep(client().clients, unplanned()))
    async with app.run_test(size=(100, 40)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        assert [str(card.border_title) for card in app.query(VerificationCard)] == ["gguf:f16", "gguf:q8_0"]
        await pilot.press("t")
        await pilot.pause()
        assert [m.job_id for m in app.received if isinstance(m, OpenChat)] == [1]


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_label_of_a_card_is_whole_and_perplexities_stand_beside_the_model_s(language: str) -> None:
    texts.use(language)
    verified = next(event for event in finished() if isinstance(event, e.Verified))
    card = VerificationCard(
        msgspec.structs.replace(verified, perplexity=20.05, merged_perplexity=19.93, correct=19, graded=20)
    )
    said = str(card.render())
    assert "…" not in said and "20.05" in said and "19.93" in said
    labels = ("kl", "top1", "tokens_compared", "prompt", "ids", "correct", "perplexity", "embeddings")
    assert all(cell_len(t(f"result.{label}")) <= LABEL_CELLS for label in labels)


async def test_another_job_replaces_the_first() -> None:
    app = Alone(ResultStep(client().clients, unplanned()))
    async with app.run_test(size=(100, 40)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        await show(2)(pilot)  # type: ignore[misc]
        assert len(app.query(VerificationCard)) == 0
        assert app.query_one("#chat", Button).disabled


async def test_an_unknown_job_says_so() -> None:
    app = Alone(ResultStep(client().clients, unplanned()))
    async with app.run_test() as pilot:
        app.query_one(ResultStep).show_job(77)
        await pilot.pause(0.1)
        assert "no job 77" in str(app.query_one("#result-head").render())


async def test_the_command_names_the_recipe_of_the_job() -> None:
    fake = client()
    assert command(await fake.job(1)) == f"tunesmith run {fake.folder}/jobs/1/recipe.yaml"


def measured(change: Interval, name: str = "chrf") -> e.Measured:
    before, after = Interval(20.0, 15.0, 25.0), Interval(20.0 + change.value, 10.0, 90.0)
    return e.Measured(time=0, name=name, score=name, rows=9, before=before, after=after, change=change, top=100.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [(Interval(30.0, 20.0, 40.0), "▲ better"), (Interval(-8.0, -9.0, -1.0), "▼ worse"),
     (Interval(1.0, -2.0, 4.0), "not clear")],
)  # fmt: skip
def test_scores_say_in_words_whether_they_changed(change: Interval, said: str) -> None:
    shown = JobView(1, "run", measured=(measured(change), measured(change, "每个回答都有礼貌" * 9)))
    for width in (120, 76, 30):
        lines = figures(shown, width)
        assert len(lines) == (5 if width == 30 else 3) and all(line.cell_length <= width for line in lines)
        assert said in lines[1].plain or width == 30
        assert "chrf" in lines[1].plain
    assert f"20.0 → {20 + change.value:.1f}" in figures(shown, 120)[1].plain
    assert figures(shown, 120)[1].plain.endswith("]")
    assert "[" not in figures(shown, 50)[1].plain and figures(shown, 50)[2].plain.endswith("]"), "never half of it"


def test_a_gate_that_held_is_said_with_its_figures() -> None:
    held = wording.notice(
        "info", say("gate_held", "The gate held: it is not so that {gate}.", gate="chrf < 9 (chrf is 20)")
    )
    (line,) = gate_lines(JobView(1, "run", notices=(held,)), 100)
    assert line.plain == "✓ The gate held: it is not so that chrf < 9 (chrf is 20)."


def test_scores_of_own_code_are_said_to_be() -> None:
    own = msgspec.structs.replace(measured(Interval(1.0, 0.5, 2.0)), own_code="/home/ada/\x1b[2Jmine.py")
    (line,) = figures(JobView(1, "run", measured=(own, own)), 100)[3:]
    assert "your own code: /home/ada/" in line.plain and "\x1b" not in line.plain


def test_wrong_and_right_are_words_too() -> None:
    answers = [
        e.Answered(time=0, subject=subject, row=0, question="Who?", answer="x", correct=subject == "tuned")
        for subject in ("base", "tuned")
    ]
    for width in (120, 50):
        text = "\n".join(line.plain for line in table(answers, width))
        assert "✗ wrong" in text and "✓ right" in text


@pytest.mark.parametrize("width", [72, 80, 100, 133])
def test_columns_align_with_wide_characters_too(width: int) -> None:
    answers = [
        e.Answered(time=0, subject=subject, row=row, question="请问你是谁？", answer="我是一个人工智能助手。" * 9)
        for row in range(3)
        for subject in ("base", "tuned", "gguf")
    ]
    lines = table(answers, width)
    assert all(line.cell_length <= width for line in lines)


def test_a_thousand_rows_are_cut_and_said() -> None:
    answers = [e.Answered(time=0, subject="tuned", row=row, question="q", answer="a") for row in range(1000)]
    assert "800" in table(answers, 100)[-1].plain


async def test_a_change_of_language_keeps_what_is_shown() -> None:
    app = Alone(ResultStep(client().clients, unplanned()))
    async with app.run_test(size=(100, 40)) as pilot:
        await show(1)(pilot)  # type: ignore[misc]
        texts.use("zh")
        step = app.query_one(ResultStep)
        await step.recompose()
        step.on_recomposed()
        await pilot.pause()
        assert "任务" in str(app.query_one("#result-head").render())
        assert len(app.query(VerificationCard)) == 2


async def test_what_was_exported_later_is_listed_and_can_be_chatted_with() -> None:
    fake = FakeClient(
        whole=[event for event in finished() if not isinstance(event, e.ArtifactWritten)], again=finished()
    )
    fake.histories[2][0] = e.Queued(time=1.0, task="export", of=1)
    app = Alone(ResultStep(fake.clients, unplanned()))
    async with app.run_test(size=(100, 60)) as pilot:
        await show(1)(pilot)
        step = app.query_one(ResultStep)
        for _ in range(200):
            await pilot.pause(0.01)
            if step.later:
                break
        assert [one.id for one in step.later] == [2]
        assert "model-q8_0.gguf" in app.query_one(ArtifactList).render().plain
        assert not app.query_one("#chat", Button).disabled
