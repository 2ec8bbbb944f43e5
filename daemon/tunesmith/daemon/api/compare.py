"""Two runs compared: what differs in their recipes, what each came to, and which answers changed. Data in, data out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tunesmith.daemon.api.compared_scores import ScoreChange, scores
from tunesmith.daemon.api.events import Answered
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.spec import JobSpec

LOWER, HIGHER, NEITHER = "lower", "higher", ""  # which is better


class Difference(msgspec.Struct, frozen=True):
    """A recipe value, or a fact of a run, that is not the same in both; None where one has no such value."""

    key: str
    a: Any
    b: Any


class Figure(msgspec.Struct, frozen=True):
    """One measure of both runs; None where it was not taken. `better` is lower, higher, or empty for neither."""

    key: str
    a: float | None
    b: float | None
    better: str

    @property
    def change(self) -> float | None:
        """From a to b as a share of a; None where that says nothing."""
        return None if self.a is None or self.b is None or not self.a else self.b / self.a - 1

    @property
    def verdict(self) -> str:
        """Of b against a: better, worse, equal, or empty where nobody can tell."""
        if self.a is None or self.b is None or not self.better:
            return ""
        if self.a == self.b:
            return "equal"
        return "better" if (self.b < self.a) == (self.better == LOWER) else "worse"


class ChangedAnswer(msgspec.Struct, frozen=True):
    """A question that both tuned models answered, differently in words or in being right."""

    set_name: str
    question: str
    expected: str
    a: str
    b: str
    a_correct: bool | None
    b_correct: bool | None


class Side(msgspec.Struct, frozen=True):
    """One of the two runs, with the curves to lay over the other's."""

    run: int
    name: str
    state: str
    losses: tuple[tuple[int, float], ...]
    learning_rates: tuple[tuple[int, float], ...]


class Comparison(msgspec.Struct, frozen=True):
    """`answers` are those that changed, of `answered_by_both`."""

    a: Side
    b: Side
    config: tuple[Difference, ...]
    figures: tuple[Figure, ...]
    scores: tuple[ScoreChange, ...]
    answers: tuple[ChangedAnswer, ...]
    answered_by_both: int


def compare(a: JobView, b: JobView, a_recipe: JobSpec | None, b_recipe: JobSpec | None) -> Comparison:
    """A recipe that nobody can read any more is None, and then only facts of the runs are compared."""
    both = answered_by_both(a, b)
    return Comparison(
        a=_side(a),
        b=_side(b),
        config=differences(a, b, a_recipe, b_recipe),
        figures=figures(a, b),
        scores=scores(a, b),
        answers=tuple(answer for answer in both if answer.a != answer.b or answer.a_correct != answer.b_correct),
        answered_by_both=len(both),
    )


def _side(view: JobView) -> Side:
    return Side(view.id, view.name, view.state, view.losses, view.learning_rates)


def differences(a: JobView, b: JobView, a_recipe: JobSpec | None, b_recipe: JobSpec | None) -> tuple[Difference, ...]:
    """Recipe values in the recipe's order, then where each run was computed."""
    left, right = _facts(a), _facts(b)
    if a_recipe is not None and b_recipe is not None:
        left = dict(flat(msgspec.to_builtins(a_recipe))) | left
        right = dict(flat(msgspec.to_builtins(b_recipe))) | right
    keys = dict.fromkeys((*left, *right))
    return tuple(Difference(key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key))


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """`training.epochs` and its value, for every value; a list is one value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _facts(view: JobView) -> dict[str, Any]:
    """What no recipe says: the very base, where it was computed, and what was made smaller or ended early."""
    found: dict[str, Any] = {}
    if view.base is not None:
        found["run.base"] = view.base.source
    if view.limit is not None:
        found |= {"run.device": view.limit.device, "run.dtype": view.limit.dtype}
    if view.shrunk is not None:
        found |= {f"run.{change.key}": str(change.after) for change in view.shrunk.changes}
    if view.stopped_early is not None:
        found["run.stopped_after"] = view.stopped_early.step
    return found


def figures(a: JobView, b: JobView) -> tuple[Figure, ...]:
    """Those that at least one of the two has, what was learned first, what it cost last."""
    left, right = measures(a), measures(b)
    return tuple(
        Figure(key, left[key], right[key], better)
        for key, better in BETTER.items()
        if left[key] is not None or right[key] is not None
    )


BETTER = {
    "held_out_loss": LOWER,
    "held_out_perplexity": LOWER,
    "general_perplexity": LOWER,
    "answers_right": HIGHER,
    "answers_graded": NEITHER,
    "training_loss": LOWER,
    "steps": NEITHER,
    "tokens_per_second": HIGHER,
    "peak_bytes": LOWER,
    "training_seconds": LOWER,
    "seconds": LOWER,
}


def measures(view: JobView) -> dict[str, float | None]:
    """One run's figures by key; the keys are those of BETTER."""
    scored = next((score for score in reversed(view.scores) if score.subject == "tuned"), None)
    right, graded = view.correct("tuned")
    training = view.stage("train").seconds
    step = view.step
    return {
        "held_out_loss": scored.held_out_loss if scored is not None else None,
        "held_out_perplexity": scored.held_out_perplexity if scored is not None else None,
        "general_perplexity": scored.general_perplexity if scored is not None else None,
        "answers_right": right if graded else None,
        "answers_graded": graded or None,
        "training_loss": step.loss if step is not None else None,
        "steps": step.step if step is not None else None,
        "tokens_per_second": step.tokens_per_second if step is not None else None,
        "peak_bytes": view.memory.peak if view.memory is not None else None,
        "training_seconds": training,
        "seconds": view.ended - view.started if view.ended and view.started else None,
    }


def answered_by_both(a: JobView, b: JobView) -> list[ChangedAnswer]:
    """Questions are matched by what they ask: two runs may hold out other rows in another order."""
    left, right = _answers(a), _answers(b)
    return [
        ChangedAnswer(
            set_name=mine.set_name, question=mine.question, expected=mine.expected or theirs.expected,
            a=mine.answer, b=theirs.answer, a_correct=mine.correct, b_correct=theirs.correct,
        )
        for key, mine in left.items()
        if (theirs := right.get(key)) is not None
    ]  # fmt: skip


def _answers(view: JobView) -> dict[tuple[str, str, int], Answered]:
    """The tuned model's, by set, question, and how often that was asked before."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for answer in view.answers:
        if answer.subject == "tuned":
            asked = answer.set_name, answer.question
            found[*asked, seen[asked]] = answer
            seen[asked] += 1
    return found
