"""chrF, from 0 to 100, by sacrebleu: the F-score of runs of up to 6 characters; the mean over the rows.

Popović, "chrF: character n-gram F-score for automatic MT evaluation", 2015 (beta 2, no words). It needs no cutting
into words, and so suits every language. It is the mean of the scores of each answer, not sacrebleu's corpus score,
which adds up the counts of all answers first and lets long ones count more.
"""

from __future__ import annotations

from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.evals import Eval, Scorer, no_argument


def open_scorer(argument: str) -> Scorer:
    from sacrebleu.metrics import CHRF

    no_argument(argument)
    metric = CHRF()

    def score(answer: str, row: HeldOutRow) -> float:
        return float(metric.sentence_score(answer, [row.answer]).score)

    return Scorer(score)


CARD = Eval(
    key="chrf",
    title="chrF",
    blurb="Runs of up to six characters that each answer shares with the expected one (0 to 100); for every language.",
    open=open_scorer,
    top=100.0,
)
