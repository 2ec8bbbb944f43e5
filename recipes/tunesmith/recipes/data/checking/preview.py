"""One row as the trainer sees it: the exact text, its tokens, and which of them are trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunesmith.recipes.data import limited
from tunesmith.recipes.data.checking.check import recognised
from tunesmith.recipes.data.examine import loaded
from tunesmith.recipes.data.files import reading, sources
from tunesmith.recipes.data.parsing import media
from tunesmith.recipes.data.parsing.recognition import sample
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import FileNotice, Part, RawRow, RejectedRow, Rendered, Sample
from tunesmith.recipes.errors import DataError

if TYPE_CHECKING:
    from tunesmith.recipes.data.rendering.tokenizer import Tokenizer


class Run(msgspec.Struct, frozen=True):
    """Neighbouring tokens that are all trained, or all not, as text."""

    text: str
    trained: bool


class PartView(msgspec.Struct, frozen=True):
    """A part of a row; `tokens` (the text of each), `ids` and `trained` are equally long, `runs` make up `text`."""

    name: str
    text: str
    ids: list[int]
    tokens: list[str]
    trained: list[bool]
    runs: list[Run]


class Preview(msgspec.Struct, frozen=True):
    """`why` says why the rows have this shape. The trainer uses the first part; preference rows have two, and so on."""

    file: str
    line: int
    shape: str
    why: str
    parts: list[PartView]
    label: bool | int | float | str | list[int | str] | None = None


def preview(
    path: str, model: str, row: int | None = None, shape: str | None = None,
    mapping: dict[str, str] | None = None, trained: str = "assistant",
) -> Preview:  # fmt: skip
    """The row that reports call `row` (a line, or a place in a table), or the first usable one.

    Raises DataError when there is none or it cannot be used, saying why; ModelError without a tokenizer.
    """
    return limited.call(_preview, path, model, row, shape, mapping or {}, trained)


def _preview(
    path: str, model: str, row: int | None, shape: str | None, mapping: dict[str, str], trained: str
) -> Preview:
    files = sources.find([path])
    tokenizer = loaded(model)
    known = recognised(files, shape, mapping)
    if known.problem is not None:
        raise known.problem
    first_refused: RejectedRow | None = None
    last = 0
    for found in reading.rows(files):
        if isinstance(found, FileNotice):
            continue
        last = found.line
        if row is not None and found.line != row:
            continue
        refused = found if isinstance(found, RejectedRow) else None
        if isinstance(found, RawRow) and known.shape is not None:
            try:
                taken = sample(found, known.shape, mapping)
                for item in taken.media:
                    media.check(item, Path(found.file).parent)
                parts = [view(part, taken, tokenizer, trained) for part in taken.parts]
                return Preview(found.file, found.line, known.shape, known.why, parts, taken.label)
            except BadRow as error:
                refused = error.at(found.file, found.line)
        if row is not None and refused is not None:
            where = f"{refused.file}:{refused.line}"
            raise DataError(f"{where} cannot be used: {refused.reason}", "Look at another: --row N.")
        first_refused = first_refused or refused
    if first_refused is not None:
        raise DataError(f"No row can be used; the first: {first_refused}", f"`tunesmith data check {path}` has all.")
    if row is not None and last:
        raise DataError(f"There is no row {row} in {path}", f"The last one is {last}.")
    raise DataError(f"There are no rows in {path}", "Look whether this is the file you mean.")


def views(samples: Sequence[Sample], model: str, trained: str) -> list[list[PartView | BadRow]]:
    """Every part of `samples` as `model` sees it, or why it does not. Raises ModelError without a tokenizer."""
    return limited.call(_views, samples, model, trained)


def _views(samples: Sequence[Sample], model: str, trained: str) -> list[list[PartView | BadRow]]:
    tokenizer = loaded(model)
    found: list[list[PartView | BadRow]] = []
    for one in samples:
        parts: list[PartView | BadRow] = []
        for part in one.parts:
            try:
                parts.append(view(part, one, tokenizer, trained))
            except BadRow as error:
                parts.append(error)
        found.append(parts)
    return found


def view(part: Part, whole: Sample, tokenizer: Tokenizer, trained: str) -> PartView:
    """Raises BadRow."""
    from tunesmith.recipes.data.rendering.render import render

    rendered = render(part, whole.tools, tokenizer, trained)
    places = token_places(part, rendered, tokenizer)
    flags = [bool(flag) for flag in rendered.trained]
    tokens = [rendered.text[start:end] for start, end in places]
    runs = runs_of(rendered.text, [start for start, _ in places], flags)
    return PartView(part.name, rendered.text, rendered.ids.tolist(), tokens, flags, runs)


def token_places(part: Part, rendered: Rendered, tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """Where each token of `rendered` starts and ends, in characters of its text."""
    before = 0 if part.messages is not None else rendered.text.find(part.text or "")
    inner = rendered.text if part.messages is not None else part.text or ""
    encoded = tokenizer.encode(inner)
    places = [(start + before, end + before) for start, end in zip(encoded.starts, encoded.ends, strict=True)]
    added = len(rendered.ids) - len(places)  # the tokens that open and close a plain text
    opening = [(0, before)] if added and before else []
    closing = [(before + len(inner), len(rendered.text))] if added > len(opening) else []
    return [(int(start), int(end)) for start, end in [*opening, *places, *closing]]


def runs_of(text: str, starts: Sequence[int], trained: Sequence[bool]) -> list[Run]:
    """`text` cut where tokens with a loss begin and end; what no token covers goes with the token before it."""
    if not trained:
        return [Run(text, False)] if text else []
    edges = [index for index in range(1, len(trained)) if trained[index] != trained[index - 1]]
    bounds = [0, *(starts[index] for index in edges), len(text)]
    flags = [trained[0], *(trained[index] for index in edges)]
    return [Run(text[bounds[index] : bounds[index + 1]], flag) for index, flag in enumerate(flags)]
