"""Fixes that write a new file: without duplicates, with the columns of one shape, without empty turns.

What cannot be used is left out and counted; an input is never written to. Media paths stay relative to their file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.recipes.data.checking.report import Fixed
from tunesmith.recipes.data.checking.writing import JsonlFile
from tunesmith.recipes.data.duplicates import Seen, content_hash
from tunesmith.recipes.data.files import reading
from tunesmith.recipes.data.files.sources import SourceFile
from tunesmith.recipes.data.parsing.recognition import sample
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import FileNotice, Message, Part, RawRow, RejectedRow, Sample
from tunesmith.recipes.errors import DataError, nearest

DEDUP, MAP, STRIP_EMPTY = "dedup", "map", "strip-empty"
# What a fix does, as its help says it.
FIXES = {
    DEDUP: "leaves out rows that say what an earlier one says",
    MAP: "writes every row with the columns of its shape, --map and aliases done",
    STRIP_EMPTY: "takes out empty system messages and exchanges without a question or an answer",
}
HINT = "Name another file: -o clean.jsonl."
ROLES = ("role", "from")
CONTENTS = ("content", "value")
USERS = ("user", "human")
ANSWERS = ("assistant", "gpt", "bot", "chatgpt", "model")
MEDIA_COLUMNS = {"image": "images", "audio": "audios", "video": "videos"}
REMOTE = ("http://", "https://", "data:")


def check_options(
    fixes: Sequence[str], output: str | None, files: Sequence[SourceFile], given: Sequence[str] = ()
) -> None:
    """Raises DataError when a fix is unknown or `output` is missing, taken or among `files`, or in a folder `given`."""
    for fix in fixes:
        if fix not in FIXES:
            raise DataError(f"There is no fix '{fix}'", nearest(fix, FIXES))
    if not fixes:
        if output is not None:
            raise DataError("There is nothing to write", f"Say what to fix: --fix {','.join(FIXES)}.")
        return
    if output is None:
        raise DataError("A fix writes a new file", "Name it: -o clean.jsonl.")
    if not output.endswith(".jsonl"):
        raise DataError(f"{output} does not end in .jsonl", HINT)
    if any(Path(output).resolve() == Path(file.path).resolve() for file in files):
        raise DataError(f"{output} is one of the files to check", HINT)
    if any(Path(path).is_dir() and Path(output).resolve().is_relative_to(Path(path).resolve()) for path in given):
        raise DataError(f"{output} lies in a folder to check and would be read with it", "Write it somewhere else.")
    if not Path(output).parent.is_dir():
        raise DataError(f"There is no folder {Path(output).parent}", HINT)
    if os.path.lexists(output):
        raise DataError(f"{output} exists already", "Name another file, or remove this one.")


def write(
    files: Sequence[SourceFile], shape: str, mapping: Mapping[str, str], fixes: Sequence[str], output: Path
) -> Fixed:
    """Write the usable rows of `files`, fixed, to `output`. Raises DataError where it cannot be written."""
    import numpy

    seen = Seen()
    left_out: Counter[str] = Counter()
    read = changed = 0
    with JsonlFile(output, HINT, make_empty=True) as clean:
        for row in reading.rows(files):
            if isinstance(row, FileNotice):
                continue
            read += 1
            if isinstance(row, RejectedRow):
                left_out[row.code] += 1
                continue
            raw = without_empty(row) if STRIP_EMPTY in fixes else row
            try:
                found = sample(raw, shape, mapping)
            except BadRow as error:
                left_out[error.code] += 1
                continue
            if DEDUP in fixes and seen.add(numpy.array([content_hash(found)], numpy.uint64))[0]:
                left_out["duplicate"] += 1
                continue
            value = canonical(found, output.parent) if MAP in fixes else as_it_was(raw, found, output.parent)
            changed += value != row.value
            clean.write(value)
        rows_written = clean.rows
        clean.finish()
    return Fixed(str(output), read, rows_written, changed, dict(left_out.most_common()))


def as_it_was(raw: RawRow, found: Sample, folder: Path) -> dict[str, Any]:
    """Raises DataError when paths in the row would lead elsewhere from `folder`."""
    if moved(raw.file, folder) and any(not fixed_place(item.source) for item in found.media):
        raise DataError(
            f"{found.where} names files relative to its folder", f"Write to that folder, or add {MAP} to --fix."
        )
    return raw.value


def canonical(found: Sample, folder: Path) -> dict[str, Any]:
    """The row with the columns of its shape: messages, text, chosen and rejected, or anchor and positives.

    Read again it says the same: the hashes of its content are equal. Columns that the shape does not use stay.
    """
    row = dict(found.columns)
    parts = {part.name: part for part in found.parts}
    if "chosen" in parts:
        row |= {name: without_loss(parts[name]) for name in ("chosen", "rejected")}
    elif "anchor" in parts:
        positives = [content(part) for name, part in parts.items() if name.startswith("positive")]
        negatives = [content(part) for name, part in parts.items() if name.startswith("negative")]
        row |= {"query": content(parts["anchor"]), "positives": positives}
        row |= {"negatives": negatives} if negatives else {}
    elif len(parts) == 1:
        only = found.parts[0]
        row["messages" if only.text is None else "text"] = content(only)
    else:
        raise ValueError(f"no columns for the parts {', '.join(parts)}")
    if found.label is not None:
        row["label"] = found.label
    if found.tools:
        row["tools"] = found.tools
    for item in found.media:
        row.setdefault(MEDIA_COLUMNS[item.kind], [])
        row[MEDIA_COLUMNS[item.kind]].append(seen_from(item.source, found.file, folder))
    return row


def content(part: Part) -> str | list[Message] | None:
    return part.messages if part.text is None else part.text


def without_loss(part: Part) -> list[Message]:
    """Messages of a preference row; which of them are learned its shape says."""
    return [{key: value for key, value in message.items() if key != "loss"} for message in part.messages or ()]


def moved(file: str, folder: Path) -> bool:
    return Path(file).parent.resolve() != folder.resolve()


def fixed_place(source: str) -> bool:
    return source.startswith(REMOTE) or Path(source).is_absolute()


def seen_from(source: str, file: str, folder: Path) -> str:
    """`source`, a path relative to the folder of `file`, relative to `folder`."""
    if fixed_place(source) or not moved(file, folder):
        return source
    return os.path.relpath(Path(file).parent.resolve() / source, folder.resolve())


def without_empty(row: RawRow) -> RawRow:
    """The row without empty turns in any of its lists of turns."""
    value = {key: filled_turns(item) if is_turns(item) else item for key, item in row.value.items()}
    return RawRow(row.file, row.line, value)


def is_turns(item: object) -> bool:
    return (
        isinstance(item, list)
        and bool(item)
        and all(isinstance(turn, dict) and any(key in turn for key in ROLES) for turn in item)
    )


def filled_turns(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without empty system messages, and without each exchange (a question up to the next) that lacks a side."""
    exchanges: list[list[dict[str, Any]]] = [[]]
    for turn in turns:
        if role(turn) == "system" and empty(turn):
            continue
        if role(turn) in USERS:
            exchanges.append([])
        exchanges[-1].append(turn)
    lacking = [any(role(turn) in (*USERS, *ANSWERS) and empty(turn) for turn in exchange) for exchange in exchanges]
    return [turn for exchange, lacks in zip(exchanges, lacking, strict=True) if not lacks for turn in exchange]


def role(turn: Mapping[str, Any]) -> Any:
    return next((turn[key] for key in ROLES if key in turn), None)


def empty(turn: Mapping[str, Any]) -> bool:
    """Whether a turn says nothing and calls nothing."""
    said = next((turn[key] for key in CONTENTS if key in turn), None)
    return not turn.get("tool_calls") and (said is None or said == [] or (isinstance(said, str) and not said.strip()))
