"""Scores and the gate on a tiny model: what is told, what is kept, and how a run that is refused ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import stopped
from stopped import Another, Told

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import evaluate, gate, scores
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import set_up
from tunesmith.recipes import again, evals
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import DataError, EvaluationError
from tunesmith.recipes.intervals import Interval
from tunesmith.recipes.spec import load

pytestmark = pytest.mark.usefixtures("one_thread")
MakeContext = Callable[..., Context]
ROWS = [HeldOutRow([{"role": "user", "content": f"{n}?"}], str(n)) for n in range(20)]
BEFORE = ["no"] * 18 + ["18", "19"]
AFTER = [str(n) for n in range(16)] + ["no", "no", "18", "no"]


def measured(make_context: MakeContext, told: Told, *names: str) -> dict[str, e.Measured]:
    context = make_context(evaluation={"scores": names})
    scores.measure(context, ROWS, {"base": BEFORE, "tuned": AFTER})
    found = [event for event in told(context) if isinstance(event, e.Measured)]
    for one in found:
        assert context.measures[one.name] == one.after.value
        assert context.measures[f"before.{one.name}"] == one.before.value
    return {one.name: one for one in found}


def test_a_proportion_is_told_before_and_after_with_the_rows_that_changed(
    make_context: MakeContext, told: Told
) -> None:
    (found,) = measured(make_context, told, "exact_match").values()
    assert (found.rows, found.before.value, found.after.value) == (20, 0.1, 0.85)
    assert found.before.low == pytest.approx(0.0279, abs=1e-4), "Wilson's"
    assert found.change.value == 0.75 and 0.4 < found.change.low < 0.6 and 0.85 < found.change.high <= 1
    assert [(one.row, one.before, one.after) for one in found.changed] == [(row, 0, 1) for row in range(10)]
    assert found.own_code == ""


def test_what_is_no_proportion_has_the_intervals_of_a_bootstrap(make_context: MakeContext, told: Told) -> None:
    found = measured(make_context, told, "chrf", "bleu", "rouge_l", "regex:^1", "json", "contains")
    assert [*found] == ["chrf", "bleu", "rouge_l", "regex", "json", "contains"]
    assert found["chrf"].top == 100 and found["chrf"].before.value == 10 and found["chrf"].after.value == 85
    for one in found.values():
        for interval in (one.before, one.after, one.change):
            assert interval.low <= interval.value <= interval.high
    assert sum(found["chrf"].row_scores) / 20 == found["chrf"].after.value and len(found["chrf"].row_scores) == 20
    assert found["bleu"].row_scores == (), "no mean over the rows"
    assert found["regex"].after.value == pytest.approx(8 / 20) and found["json"].after.value == 0.85


def test_own_code_is_run_and_shown_as_such(make_context: MakeContext, told: Told, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def short(answer, row):\n    return len(answer) < 2\n"
                                      "def size(answer, row):\n    return len(answer) / 10\n")  # fmt: skip
    found = measured(make_context, told, "mine.py:short", "mine.py:size")
    assert found["short"].own_code == found["size"].own_code == str(tmp_path / "mine.py")
    assert found["short"].after.low == pytest.approx(0.2993, abs=1e-4), "yes or no: Wilson's, of 10 in 20"
    notices = [event.text for event in told(make_context()) if isinstance(event, e.Notice)]
    assert len(notices) == 1 and "your own code in" in notices[0] and "SHA-256" in notices[0]


def test_a_scorer_that_does_not_load_ends_the_job_before_anything_else(make_context: MakeContext) -> None:
    for score, error in (("none.py:f", EvaluationError), ("json:none.json", DataError)):
        with pytest.raises(error):
            scores.run(make_context(evaluation={"scores": [score]}))


def test_without_questions_no_score_is_taken_and_that_is_said(make_context: MakeContext, told: Told) -> None:
    context = make_context(evaluation={"scores": ["chrf"]})
    scores.measure(context, [], {})
    assert [event.text for event in told(context) if isinstance(event, e.Notice)] == [
        "No held-out row is a question with an answer, so no scores were taken."
    ]
    with pytest.raises(EvaluationError, match="'chrf' was not measured"):
        gated(context, "chrf < 1", task="evaluate")


def test_an_interval_that_is_told_comes_back_the_same() -> None:
    one = Interval(0.5, 0.25, 0.75)
    event = e.Measured(time=1.0, name="chrf", score="chrf", rows=2, before=one, after=one, change=one,
                       changed=(e.RowScore(1, 0.0, 1.0),))  # fmt: skip
    assert e.decode(e.encode(event)) == event


def evaluated(another: Another, tiny_model: Path, tmp_path: Path, kind: str, *, train: bool) -> Context:
    values = stopped.parts(tiny_model, tmp_path, epochs=1, tuner={"kind": kind})
    asked = {"answers": 1, "max_new_tokens": 4, "general": False, "scores": ["chrf", "exact_match"]}
    context = another(values | {"exports": ["merged", "gguf:f16"], "evaluation": asked})
    if train:
        stopped.attempt(context)
    else:
        prepare.run(context)
        set_up.run(context)
    context.begin("evaluate")
    evaluate.run(context)
    return context


def gated(context: Context, fail_if: str, **others: Any) -> None:
    evaluation = msgspec.structs.replace(context.spec.evaluation, fail_if=fail_if)
    context.spec = msgspec.structs.replace(context.spec, evaluation=evaluation, **others)
    gate.run(context)


@pytest.mark.slow
def test_a_run_that_the_gate_refuses_keeps_its_adapter_and_exports_nothing_else(
    another: Another, tiny_model: Path, tmp_path: Path, told: Told
) -> None:
    context = evaluated(another, tiny_model, tmp_path, "lora", train=True)
    events = told(context)
    assert [event.name for event in events if isinstance(event, e.Measured)] == ["chrf", "exact_match"]
    answers = {event.subject: event.answer for event in events if isinstance(event, e.Answered)}
    score = evals.cards()["chrf"].open("").score
    assert context.measures["chrf"] == pytest.approx(score(answers["tuned"], context.prepared.questions[0]))

    gated(context, "perplexity > 100 * before.perplexity or chrf < before.chrf - 100")
    events = told(context)
    assert isinstance(events[-1], e.Notice) and events[-1].text.startswith("The gate held")
    assert "before.chrf is " in events[-1].text and list(context.artifacts.iterdir()) == []

    with pytest.raises(EvaluationError) as caught:
        gated(context, "perplexity > 0.0001 * before.perplexity")
    assert caught.value.code == "gate_failed"
    for said in ("perplexity > 0.0001 * before.perplexity", "before.perplexity is ", "artifacts/adapter"):
        assert said in caught.value.message, said
    assert [event.key for event in told(context) if isinstance(event, e.ArtifactWritten)] == ["adapter"]
    assert {path.name for path in context.artifacts.iterdir()} >= {"adapter", "recipe.yaml", "README.md", "SHA256SUMS"}
    card = (context.artifacts / "README.md").read_text()
    assert "The recipe's gate refused this model" in card and "gguf" not in card and "merged" not in card
    assert load(context.artifacts / "recipe.yaml").exports == ("merged", "gguf:f16"), "the recipe is the run's own"
    # Whoever wants to can take it up: exported all the same, and evaluated without the gate.
    assert again.exporting(context.artifacts, ("gguf:q8_0",)).of == str(context.artifacts)
    assert again.evaluating(context.artifacts).evaluation.fail_if is None
    later = again.evaluating(context.artifacts, scores=("rouge_l",), fail_if="rouge_l < 0.5")
    assert (later.evaluation.scores, later.evaluation.fail_if) == (("rouge_l",), "rouge_l < 0.5")


@pytest.mark.slow
def test_where_every_weight_is_trained_the_whole_model_is_kept(
    another: Another, tiny_model: Path, tmp_path: Path, told: Told
) -> None:
    context = evaluated(another, tiny_model, tmp_path, "full", train=False)
    with pytest.raises(EvaluationError, match="artifacts/merged") as caught, gate.keeping(context):
        raise EvaluationError("Your scorer failed at mine.py:3", "Correct the file.", "scorer_failed")
    assert caught.value.code == "scorer_failed" and caught.value.message.startswith("Your scorer failed at mine.py:3.")
    assert [event.key for event in told(context) if isinstance(event, e.ArtifactWritten)] == ["merged"]
    assert (context.artifacts / "merged" / "model.safetensors").is_file()


def test_a_finished_run_that_was_evaluated_again_is_left_as_it_is(make_context: MakeContext) -> None:
    context = make_context(evaluation={"scores": ["chrf"]})
    scores.measure(context, ROWS, {"base": BEFORE, "tuned": AFTER})
    with pytest.raises(EvaluationError, match=r"chrf is 85, before\.chrf is 10.* is as it was") as caught:
        gated(context, "chrf > before.chrf", task="evaluate")
    assert caught.value.code == "gate_failed" and list(context.artifacts.iterdir()) == []
