"""Two runs compared: only what differs is told, figures know which way is better, answers meet by their question."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.compare import Figure, compare
from tunesmith.daemon.api.job_recipe import recipe_of
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.errors import JobError
from tunesmith.recipes.spec import JobSpec, SourceSpec, TrainingSpec, complete

TUNED = {"subject": "tuned", "time": 0.0}


def run(number: int, *events: e.Event) -> JobView:
    view = JobView(number, f"run {number}")
    for at, event in enumerate(events, 1):
        view = fold(view, e.Numbered(at, event))
    return view


def answer(question: str, text: str, correct: bool | None = None, row: int = 0, subject: str = "tuned") -> e.Answered:
    return e.Answered(time=0.0, subject=subject, row=row, question=question, answer=text, correct=correct)


def spec(**training: object) -> JobSpec:
    return complete(JobSpec(name="same", training=msgspec.structs.replace(TrainingSpec(), **training)))


def test_only_values_that_differ_are_told_with_both() -> None:
    found = compare(run(1), run(2), spec(epochs=3, learning_rate=2e-4), spec(epochs=5, learning_rate=2e-4))
    assert [(one.key, one.a, one.b) for one in found.config] == [("training.epochs", 3, 5)]


def test_the_same_recipe_has_no_differences() -> None:
    assert compare(run(1), run(2), spec(), spec()).config == ()


def test_a_list_is_one_value_and_a_knob_of_one_tuner_only_is_none_in_the_other() -> None:
    sources = JobSpec().data
    several = msgspec.structs.replace(sources, train=(SourceSpec(path="/a", weight=2.0), "/b"))
    left = msgspec.structs.replace(spec(), data=several)
    right = complete(msgspec.structs.replace(JobSpec(name="same"), tuner={"kind": "full"}, exports=("merged",)))
    told = {one.key: (one.a, one.b) for one in compare(run(1), run(2), left, right).config}
    assert told["data.train"] == (({"path": "/a", "weight": 2.0}, "/b"), "starter")
    assert told["tuner.rank"] == (8, None)
    assert told["exports"] == (("adapter", "merged", "gguf:f16", "gguf:q8_0"), ("merged",))


def test_facts_of_the_runs_are_compared_beside_their_recipes() -> None:
    limit = e.LimitMeasured(time=0.0, device="cuda", dtype="bfloat16", flops_per_second=1.0)
    a = run(1, limit, e.BaseChosen(time=0.0, source="hub:model@1", folder="/m"))
    b = run(2, msgspec.structs.replace(limit, device="cpu"), e.BaseChosen(time=0.0, source="hub:model@2", folder="/m"))
    told = [(one.key, one.a, one.b) for one in compare(a, b, None, None).config]
    assert told == [("run.base", "hub:model@1", "hub:model@2"), ("run.device", "cuda", "cpu")]


def test_figures_say_which_run_did_better_and_leave_out_what_neither_measured() -> None:
    a = run(1, e.Started(time=10.0, attempt=1, pid=1), e.Scored(**TUNED, held_out_loss=0.5),
            e.Finished(time=110.0, seconds=100.0))  # fmt: skip
    b = run(2, e.Started(time=10.0, attempt=1, pid=1), e.Scored(**TUNED, held_out_loss=0.25),
            answer("Who?", "I", True), e.Finished(time=210.0, seconds=200.0))  # fmt: skip
    found = {one.key: one for one in compare(a, b, None, None).figures}
    assert set(found) == {"held_out_loss", "answers_right", "answers_graded", "seconds"}
    assert (found["held_out_loss"].verdict, found["held_out_loss"].change) == ("better", -0.5)
    assert (found["seconds"].verdict, found["seconds"].change) == ("worse", 1.0)
    assert (found["answers_right"].a, found["answers_right"].b, found["answers_right"].verdict) == (None, 1, "")


@pytest.mark.parametrize(
    ("a", "b", "better", "verdict", "change"),
    [(1.0, 2.0, "higher", "better", 1.0), (2.0, 2.0, "lower", "equal", 0.0), (0.0, 2.0, "lower", "worse", None),
     (1.0, None, "lower", "", None), (1.0, 2.0, "", "", 1.0)],
)  # fmt: skip
def test_a_figure_s_verdict(a: float, b: float | None, better: str, verdict: str, change: float | None) -> None:
    figure = Figure("x", a, b, better)
    assert (figure.verdict, figure.change) == (verdict, change)


def test_answers_meet_by_their_question_whatever_their_row() -> None:
    a = run(1, answer("Who?", "I am A", False, row=0), answer("Where?", "Here", row=1), answer("Only a", "x", row=2))
    b = run(2, answer("Where?", "Here", row=0), answer("Who?", "I am B", True, row=7), answer("Only b", "y", row=9))
    found = compare(a, b, None, None)
    assert found.answered_by_both == 2
    assert [(one.question, one.a, one.b, one.a_correct, one.b_correct) for one in found.answers] == [
        ("Who?", "I am A", "I am B", False, True)
    ]


def test_a_question_that_was_asked_twice_meets_itself_in_order() -> None:
    a = run(1, answer("Who?", "one", row=0), answer("Who?", "two", row=1))
    b = run(2, answer("Who?", "one", row=0), answer("Who?", "three", row=1))
    assert [(one.a, one.b) for one in compare(a, b, None, None).answers] == [("two", "three")]


def test_the_base_s_answers_are_not_compared() -> None:
    a, b = (run(n, answer("Who?", f"base {n}", subject="base")) for n in (1, 2))
    assert compare(a, b, None, None).answered_by_both == 0


def test_a_run_is_the_same_as_itself() -> None:
    view = run(1, e.Started(time=1.0, attempt=1, pid=1), e.Scored(**TUNED, held_out_loss=0.5), answer("Who?", "I"))
    found = compare(view, view, spec(), spec())
    assert found.config == () and found.answers == ()
    assert all(figure.verdict in ("", "equal") for figure in found.figures)


def test_a_comparison_crosses_as_json() -> None:
    found = compare(run(1, answer("q", "a")), run(2, answer("q", "b")), spec(epochs=1), spec(epochs=2))
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_a_recipe_is_read_from_the_job_s_folder(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec()))
    assert recipe_of(JobView(1, "x", folder=str(tmp_path))) == spec()


@pytest.mark.parametrize("content", [None, b"noise", b'{"version": 1, "unknown": 2}', b"\xff\xfe"])
def test_a_recipe_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "spec.json").write_bytes(content)
    with pytest.raises(JobError, match="recipe of job 3 cannot be read"):
        recipe_of(JobView(3, "x", folder=str(tmp_path)))


def test_a_folder_may_have_any_name() -> None:
    with pytest.raises(JobError):
        recipe_of(JobView(3, "x", folder="/tmp/a\x00b"))
