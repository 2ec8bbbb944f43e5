"""Errors in the person's language: what the code means and what to do next, then the words as they came."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Protocol

from tunesmith.tui import texts
from tunesmith.tui.texts import t

FOLDER = texts.FOLDER / "explained"
SOURCE = "en"  # what daemon and recipes speak
SAID = ""  # the code of an error whose words are the wizard's own: there is nothing to explain


class Coded(Protocol):
    """An exception of ours, what crosses the socket for it, or the event that says so."""

    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def hint(self) -> str: ...


@cache
def load(language: str) -> Mapping[str, tuple[str, str]]:
    """What each code means and what to do next; empty for a language in which nobody has written that yet."""
    path = FOLDER / f"{language}.toml"
    parts = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    return {code: (meaning, way_on) for part in parts.values() for code, (meaning, way_on) in part.items()}


def told(error: Coded) -> tuple[str, str]:
    """What happened and what to do next. The words as they came have the values, so they always follow."""
    known = load(texts.language()).get(error.code)
    if texts.language() == SOURCE or known is None:
        return error.message, error.hint
    meaning, way_on = known
    original = f"{error.message.rstrip('.')}. {error.hint}".strip()
    return meaning, f"{way_on}\n{t('explained.original', text=original)}"


def sentences(error: Coded) -> str:
    """Both, one under the other."""
    return "\n".join(filter(None, told(error)))
