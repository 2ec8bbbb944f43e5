"""Sentences that can be said in another language: English as text, with the code and the values it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tunesmith.recipes.data.rows import FileNotice, RejectedRow
from tunesmith.recipes.errors import TunesmithError

# What codes begin with that are explained elsewhere.
ERROR, FILE, FINDING, ROW = "error.", "file.", "finding.", "row."
STAGE, RESOURCE, SUBJECT = "stage.", "resource.", "subject."
SEPARATOR = "; "


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What crosses the socket: `text` is for logs and for whoever does not know the `code`.

    A tuple among the values is a list of reasons.
    """

    text: str
    code: str = ""
    values: dict[str, str | int | Said | tuple[Said, ...]] = {}


class Words(str):
    """English as any other text, which remembers what it was made of. Reasons pass through many hands as text."""

    said: Said

    def __new__(cls, said: Said) -> Words:
        made = super().__new__(cls, said.text)
        made.said = said
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Words, (self.said,)


def say(code: str, english: str, /, **values: object) -> Words:
    """`english` with its `{places}` filled. A value that has words of its own keeps them, a list is of reasons.

    Figures come as text that is shown as it is, so that no language has to know how they are written.
    """
    shown = {
        name: SEPARATOR.join(value) if isinstance(value, list | tuple) else value for name, value in values.items()
    }
    return Words(Said(english.format(**shown), code, {name: _value(value) for name, value in values.items()}))


def said(text: str) -> Said:
    """What `text` means; one that somebody else wrote means itself."""
    return text.said if isinstance(text, Words) else Said(str(text))


def meaning(text: str) -> Said | None:
    """The same where there is more to it than the text."""
    return text.said if isinstance(text, Words) else None


def _value(value: object) -> str | int | Said | tuple[Said, ...]:
    match value:
        case Words():
            return value.said
        case list() | tuple():
            return tuple(said(one) for one in value)
        case int():
            return value
        case _:
            return str(value)


def again(written: Said | str) -> Words:
    """Words that were kept; those of an older version are text alone."""
    return Words(written if isinstance(written, Said) else Said(written))


def reasons(several: Iterable[str]) -> str:
    """All in one; empty where there is none."""
    each = tuple(several)
    if len(each) < 2:
        return each[0] if each else ""
    return say("reasons", "{reasons}", reasons=each)


def of_error(error: TunesmithError) -> Words:
    """What the error says; its code is explained among the errors."""
    return Words(Said(error.message, f"{ERROR}{error.code}"))


def of_stage(name: str) -> Words:
    return Words(Said(name, f"{STAGE}{name}"))


def of_resource(what: str, text: str) -> Words:
    """`what` as a forecast calls it: device, host or disk."""
    return Words(Said(text, f"{RESOURCE}{what}"))


def of_subject(name: str) -> Words:
    """Who answers: base, tuned, merged, gguf."""
    return Words(Said(name, f"{SUBJECT}{name}"))


def of_finding(code: str, text: str, rows: int) -> Words:
    """What is odd about so many rows."""
    return Words(Said(text, f"{FINDING}{code}", {"rows": rows}))


def of_row(row: RejectedRow) -> Words:
    """`rows.jsonl:3: no messages`."""
    return Words(Said(str(row), f"{ROW}{row.code}", {**_plain(row.values), "file": row.file, "line": row.line}))


def of_file(notice: FileNotice) -> Words:
    return Words(Said(notice.text, f"{FILE}{notice.code}", {**_plain(notice.values), "file": notice.file}))


def _plain(values: Mapping[str, Any]) -> dict[str, str | int | Said | tuple[Said, ...]]:
    return {name: value if isinstance(value, int) else str(value) for name, value in values.items()}
