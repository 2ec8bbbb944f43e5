"""Exact match: the answer is the expected one, letter for letter after normalising.

Normalised is by Unicode NFKC (full-width forms become the usual ones), upper and lower case are one (casefold), any
run of white space is one space, and quotation marks around the whole and the marks that end a sentence are left out.
Nothing else: articles, commas, minus signs and decimal points count, as "-3.5" is not "35".
"""

from __future__ import annotations

import unicodedata

from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.evals import Eval, Scorer, no_argument

QUOTES = "\"'`“”‘’«»‹›「」『』"
ENDS = ".!?。…"  # NFKC has made the full-width forms of ! and ? plain, and … three dots


def normalised(text: str) -> str:
    words = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    before = None
    while words != before:  # "“Yes.”" and "“Yes”." alike
        before = words
        words = words.strip(QUOTES).rstrip(ENDS).strip()
    return words


def open_scorer(argument: str) -> Scorer:
    no_argument(argument)
    return Scorer(score)


def score(answer: str, row: HeldOutRow) -> float:
    return float(normalised(answer) == normalised(row.answer))


CARD = Eval(
    key="exact_match",
    title="Exact match",
    blurb="The answer is the expected one; case, spaces, quotes around it and its last full stop aside.",
    open=open_scorer,
    proportion=True,
)
