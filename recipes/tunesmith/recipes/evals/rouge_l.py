"""ROUGE-L: the F-measure of the longest common subsequence of words, by Google's rouge-score; the mean over the rows.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004. Words are runs of letters and digits in lower
case, without stemming; of Chinese and Japanese each character is a word. rouge-score's own tokenizer knows nothing but
a-z and 0-9, and would give every Chinese answer 0.
"""

from __future__ import annotations

import re

from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.evals import Eval, Scorer, no_argument

ALONE = r"\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana and Han
WORD = re.compile(rf"[{ALONE}]|[^\W_{ALONE}]+")


class Words:
    """A tokenizer as rouge-score takes one."""

    def tokenize(self, text: str) -> list[str]:
        return WORD.findall(text.lower())


def open_scorer(argument: str) -> Scorer:
    from rouge_score.rouge_scorer import RougeScorer

    no_argument(argument)
    scorer = RougeScorer(["rougeL"], tokenizer=Words())

    def score(answer: str, row: HeldOutRow) -> float:
        return float(scorer.score(row.answer, answer)["rougeL"].fmeasure)

    return Scorer(score)


CARD = Eval(
    key="rouge_l",
    title="ROUGE-L",
    blurb="How much of the expected answer's words come in its order (F-measure of the longest common subsequence).",
    open=open_scorer,
)
