"""Scores and suites of a recipe as one line, as they are typed: `exact_match chrf 'regex:^[0-9] +$'`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.texts import t

PATTERN = "regex:"  # commas in a pattern are its own


def joined(names: Iterable[str]) -> str:
    """One that ends with a comma is last: there it is no mark between two."""
    return " ".join(quoted(name) for name in sorted(names, key=lambda name: name.endswith(",")))


def quoted(name: str) -> str:
    """In quotes where it has spaces, commas or quotes; a backslash is one everywhere."""
    if not set(name) & set(" ,'\""):
        return name
    return '"\'"'.join(f"'{part}'" for part in name.split("'"))


def split(text: str) -> tuple[str, ...]:
    """Scores: between spaces or commas, each once; quotes hold one together. Raises RecipeError for an open quote."""
    typed = _words("evaluation.scores", text, " \t\r\n")
    found: list[str] = []
    for place, word in enumerate(typed):
        if word.startswith(PATTERN):
            found.append(word.removesuffix(",") if place + 1 < len(typed) else word)
        else:
            found += [part for part in word.split(",") if part]
    return tuple(dict.fromkeys(found))


def names(text: str) -> tuple[str, ...]:
    """Suites: the same, and in quotes a path may have commas too. Raises RecipeError for an open quote."""
    return tuple(dict.fromkeys(_words("benchmark.suites", text, " \t\r\n,")))


def _words(key: str, text: str, apart: str) -> list[str]:
    words = shlex.shlex(text, posix=True, punctuation_chars=False)
    words.whitespace_split, words.escape, words.commenters, words.whitespace = True, "", "", apart
    try:
        return [word for word in words if word]
    except ValueError as error:
        raise RecipeError(f"{key} is {text!r}", t("scores.open_quote")) from error
