"""What daemon and workers say of a run, in the person's language: by its code, else the English as it came."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.tui import explained, texts

if TYPE_CHECKING:
    from tunesmith.daemon.api.events import DataChecked, Notice, PathTaken, Resumed, Verified
    from tunesmith.recipes.words import Said

FOLDER = texts.FOLDER / "said"
SOURCE = "en"  # what daemon and workers speak: its words are used as they come
# Codes with a dot are of things that other texts explain: what comes before it, and the beginning of those texts' keys.
ELSEWHERE = {
    "file": "data.notice_", "finding": "data.finding_", "row": "data.", "stage": "run.stage_",
    "resource": "forecast.what_", "subject": "run.subject_",
}  # fmt: skip


@cache
def load(language: str) -> Mapping[str, str]:
    """The words of each code, values in braces, and `separator`; nothing in a language that nobody has written yet."""
    path = FOLDER / f"{language}.toml"
    parts = tomllib.loads(path.read_text("utf-8")) if path.exists() else {"separator": "; "}
    found: dict[str, str] = {}
    for name, part in parts.items():
        found |= {name: part} if isinstance(part, str) else part
    return found


def said_text(said: Said) -> str:
    if texts.language() == SOURCE:
        return said.text
    known = load(texts.language()).get(said.code)
    if known is not None:
        return known.format_map(_values(said))
    kind, dot, name = said.code.partition(".")
    if kind == "error":
        return _of_error(said, name)
    return _explained_elsewhere(said, kind, name) if dot and kind in ELSEWHERE else said.text


def words(text: str, said: Said | None) -> str:
    """An event's `text`, as the person's language has it where the event says what it means."""
    return text if said is None else said_text(said)


def notice_text(notice: Notice) -> str:
    from tunesmith.recipes.words import Said

    return said_text(Said(notice.text, notice.code, notice.values))


def taken_text(path: PathTaken) -> str:
    return words(path.taken, path.taken_said)


def why_text(path: PathTaken) -> str:
    return words(path.why, path.why_said)


def rejected_texts(checked: DataChecked) -> Iterable[str]:
    """The first rows that were left out, with where and why."""
    return map(said_text, checked.rejected_said) if checked.rejected_said else checked.rejected


def verification_text(verified: Verified) -> str:
    """Why an export failed, and what to try."""
    why = words(verified.why, verified.why_said)
    return texts.t("words.why_and_hint", why=why, hint=words(verified.hint, verified.hint_said))


def inexact_text(resumed: Resumed) -> str:
    """Why a run that went on is not exact to the bit."""
    if resumed.reasons_said:
        return _joined(resumed.reasons_said)
    return load(texts.language())["separator"].join(resumed.reasons)


def _values(said: Said) -> Mapping[str, str | int]:
    """A value that this wizard does not know of is left open: the daemon may be of another version."""
    shown = {name: _value(value) for name, value in said.values.items()}
    return defaultdict(lambda: "…", shown)


def _value(value: str | int | Said | tuple[Said, ...]) -> str | int:
    if isinstance(value, str | int):
        return value
    return _joined(value) if isinstance(value, tuple) else said_text(value)


def _joined(several: Iterable[Said]) -> str:
    return load(texts.language())["separator"].join(map(said_text, several))


def _of_error(said: Said, code: str) -> str:
    known = explained.load(texts.language()).get(code)
    if known is None:
        return said.text
    return f"{known[0].rstrip('。.')} ({texts.t('explained.original', text=said.text)})"


def _explained_elsewhere(said: Said, kind: str, name: str) -> str:
    text = texts.load(texts.language()).get(ELSEWHERE[kind] + name)
    if text is None:
        return said.text
    values = _values(said)
    told = text.format_map(values)
    if kind == "row":
        return f"{values['file']}:{values['line']}: {told}"
    return f"{Path(str(values['file'])).name}: {told}" if kind == "file" else told
