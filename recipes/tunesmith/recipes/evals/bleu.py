"""BLEU, from 0 to 100, by sacrebleu: n-grams up to 4 words, counted over the whole set of answers.

Papineni and others, "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002; Post, "A Call for Clarity
in Reporting BLEU Scores", 2018. The figure is sacrebleu's corpus score with its defaults (case counts, exponential
smoothing); a row is cut into words by its tokenizer `zh` where Chinese characters are in the expected answer, else by
`13a`. Of one row, for the list of rows that changed, it is the sentence score (effective order).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.evals import Eval, Scorer, WholeSet, no_argument

ORDER = 4


def open_scorer(argument: str) -> Scorer:
    from sacrebleu.metrics import BLEU

    no_argument(argument)

    @cache
    def metric(tokenizer: str) -> Any:
        return BLEU(tokenize=tokenizer, effective_order=True)

    def sentence(answer: str, row: HeldOutRow) -> Any:
        return metric("zh" if has_han(row.answer) else "13a").sentence_score(answer, [row.answer])

    def counts(answer: str, row: HeldOutRow) -> tuple[float, ...]:
        found = sentence(answer, row)
        return found.sys_len, found.ref_len, *found.counts, *found.totals

    def value(sums: Sequence[float]) -> float:
        system, reference, *rest = (int(count) for count in sums)
        return float(BLEU.compute_bleu(rest[:ORDER], rest[ORDER:], system, reference, smooth_method="exp").score)

    return Scorer(lambda answer, row: float(sentence(answer, row).score), WholeSet(counts, value))


def has_han(text: str) -> bool:
    return any("\u3400" <= letter <= "\u9fff" or "\U00020000" <= letter <= "\U0003ffff" for letter in text)


CARD = Eval(
    key="bleu",
    title="BLEU",
    blurb="Runs of up to four words that the answers share with the expected ones, over the whole set (0 to 100).",
    open=open_scorer,
    top=100.0,
)
