"""Errors and warnings in the person's language: what the code means, what to do next, and the words as they came."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Protocol

from tunesmith.tui import texts
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.recipes.machine import Warning

FOLDER = texts.FOLDER / "explained"
SOURCE = "en"  # what daemon and recipes speak
WARNINGS = "warnings"  # the part of a file that is no errors
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
def _parts(language: str) -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """Empty for a language in which nobody has written that yet."""
    path = FOLDER / f"{language}.toml"
    return tomllib.loads(path.read_text("utf-8")) if path.exists() else {}


@cache
def load(language: str) -> Mapping[str, tuple[str, str]]:
    """What each error code means and what to do next."""
    parts = _parts(language)
    return {code: (said[0], said[1]) for part in parts if part != WARNINGS for code, said in parts[part].items()}


def warnings(language: str) -> Mapping[str, tuple[str, str]]:
    """What limits a machine, and the way out, by code; the values stand in braces."""
    return _parts(language).get(WARNINGS, {})


def warned(warning: Warning) -> tuple[str, str]:
    """What limits the machine, and the way out."""
    said = warnings(texts.language()).get(warning.code)
    if said is None:
        return warning.text, warning.fix
    values = defaultdict(lambda: "…", warning.values)  # a machine's file may be of another version
    return said[0].format_map(values), said[1].format_map(values)


def told(error: Coded) -> tuple[str, str]:
    """What happened and what to do next. The words as they came have the values, so they always follow."""
    known = None if texts.language() == SOURCE else load(texts.language()).get(error.code)
    if known is None:
        return error.message, error.hint
    meaning, way_on = known
    original = f"{error.message.rstrip('.')}. {error.hint}".strip()
    return meaning, f"{way_on}\n{t('explained.original', text=original)}"


def sentences(error: Coded) -> str:
    """Both, one under the other."""
    return "\n".join(filter(None, told(error)))
