"""The recipe's scores of the answers before and after: each with its intervals, and the rows that changed most."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes import evals
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.evals import Eval, Scorer
from tunesmith.recipes.gate import BEFORE
from tunesmith.recipes.intervals import Interval, bootstrapped, wilson
from tunesmith.recipes.words import say

CHANGED = 10  # rows that are told; all answers are in the result anyway


class Opened(msgspec.Struct, frozen=True):
    """A score as the recipe has it, its card, and its scorer with whatever that needs loaded."""

    score: str
    card: Eval
    scorer: Scorer


def run(context: Context) -> None:
    """Open every scorer of the recipe, before anything else takes time. Raises what its card raises."""
    found = []
    for score in context.spec.evaluation.scores:
        card, argument = evals.find(score)
        found.append(Opened(score, card, card.open(argument)))
    for path in evals.own_code(context.spec.evaluation.scores):
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        english = "Scores are computed by your own code in {path} (SHA-256 {digest})."
        context.notice("info", say("own_code", english, path=path, digest=digest[:16]))
    context.scorers = tuple(found)


def remember(context: Context, subject: str, **measures: float | None) -> None:
    """What the gate will be asked about; what was not taken is not there."""
    before = "" if subject == "tuned" else BEFORE
    context.measures |= {f"{before}{name}": value for name, value in measures.items() if value is not None}


def measure(context: Context, rows: Sequence[HeldOutRow], said: Mapping[str, Sequence[str]]) -> None:
    """Tell each score of the answers that each subject gave to `rows`."""
    if context.scorers is None:
        run(context)
    if context.scorers and not rows:
        english = "No held-out row is a question with an answer, so no scores were taken."
        context.notice("warning", say("no_scores", english))
        return
    for opened in context.scorers or ():
        found = measured(context, opened, rows, said["base"], said["tuned"])
        context.emit(found)
        remember(context, "base", **{found.name: found.before.value})
        remember(context, "tuned", **{found.name: found.after.value})


def measured(
    context: Context, opened: Opened, rows: Sequence[HeldOutRow], before: Sequence[str], after: Sequence[str]
) -> e.Measured:
    own = opened.card.key == evals.OWN_CODE
    scores = [each(context, opened.scorer, rows, answers) for answers in (before, after)]
    first, second, change = intervals(opened, rows, (before, after), scores)
    order = sorted(range(len(rows)), key=lambda row: (-abs(scores[1][row] - scores[0][row]), row))
    return e.Measured(
        time=time.time(),
        name=evals.name_of(opened.score),
        score=opened.score,
        rows=len(rows),
        top=opened.card.top,
        before=first,
        after=second,
        change=change,
        changed=tuple(
            e.RowScore(row, scores[0][row], scores[1][row]) for row in order if scores[0][row] != scores[1][row]
        )[:CHANGED],
        own_code=opened.score.rpartition(":")[0] if own else "",
        row_scores=tuple(scores[1]) if opened.scorer.whole is None else (),
    )


def each(context: Context, scorer: Scorer, rows: Sequence[HeldOutRow], answers: Sequence[str]) -> list[float]:
    found = []
    for row, answer in zip(rows, answers, strict=True):
        context.check_cancelled()  # a person's own scorer may take its time
        found.append(scorer.score(answer, row))
    return found


def intervals(
    opened: Opened, rows: Sequence[HeldOutRow], said: tuple[Sequence[str], Sequence[str]], scores: list[list[float]]
) -> tuple[Interval, Interval, Interval]:
    """Before, after, change. Of yes and no before and after are Wilson's; a person's own scorer may be one of those."""
    whole, top = opened.scorer.whole, opened.card.top
    if whole is not None:
        counts = [[whole.counts(a, row) for a, row in zip(answers, rows, strict=True)] for answers in said]
        return bootstrapped(counts[0], counts[1], whole.value)
    ones = [[(score, 1.0) for score in side] for side in scores]
    first, second, change = bootstrapped(ones[0], ones[1], mean)
    yes_or_no = opened.card.key == evals.OWN_CODE and {*scores[0], *scores[1]} <= {0.0, top}
    if opened.card.proportion or yes_or_no:
        first, second = (wilson(sum(side) / top, len(rows), top) for side in scores)
    return first, second, change


def mean(sums: Sequence[float]) -> float:
    return sums[0] / sums[1]
