"""The scores of a recipe as one line, as they are typed: `exact_match chrf 'regex:^[0-9] +$'`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.texts import t

PATTERN = "regex:"  # commas in a pattern are its own


def joined(scores: Iterable[str]) -> str:
    """One that ends with a comma is last: there it is no mark between two."""
    return " ".join(quoted(score) for score in sorted(scores, key=lambda score: score.endswith(",")))


def quoted(score: str) -> str:
    """In quotes where it has spaces, commas or quotes; a backslash is one everywhere."""
    if not set(score) & set(" ,'\""):
        return score
    return '"\'"'.join(f"'{part}'" for part in score.split("'"))


def split(text: str) -> tuple[str, ...]:
    """Parts between spaces or commas, each once; quotes hold one together. Raises RecipeError for an open quote."""
    words = shlex.shlex(text, posix=True, punctuation_chars=False)
    words.whitespace_split, words.escape, words.commenters = True, "", ""
    try:
        typed = list(words)
    except ValueError as error:
        raise RecipeError(f"evaluation.scores is {text!r}", t("scores.open_quote")) from error
    found: list[str] = []
    for place, word in enumerate(typed):
        if word.startswith(PATTERN):
            found.append(word.removesuffix(",") if place + 1 < len(typed) else word)
        else:
            found += [part for part in word.split(",") if part]
    return tuple(dict.fromkeys(found))
