"""Which rows are held out of training, and what is asked of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.account import tell
from tunesmith.daemon.worker.data.store import Array, Store, Summary
from tunesmith.recipes.data.duplicates import content_hash, text_hash
from tunesmith.recipes.data.examine import loaded
from tunesmith.recipes.data.files import reading
from tunesmith.recipes.data.files.sources import find
from tunesmith.recipes.data.held_out import MOST, HeldOutRow, drawn, held_out_row, wanted
from tunesmith.recipes.data.parsing import recognition
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.render import render_many
from tunesmith.recipes.data.rows import FileNotice, Part, RawRow, RejectedRow, Rendered, Sample
from tunesmith.recipes.words import of_file, of_row, say

PLENTY = 8 * MOST  # candidates out of which a seed draws


def candidate_share(most_rows: int, fraction: float, streaming: bool) -> float:
    """Which share of the rows comes back whole, to be held out.

    While training runs beside the preparing, nobody knows all rows, so the share itself decides: every candidate is
    held out. Otherwise there are plenty, out of which the seed draws the right number.
    """
    if streaming:
        return wanted(most_rows, fraction) / max(most_rows, 1)
    return min(1.0, PLENTY / max(most_rows, 1))


def draw(candidates: list[Sample], rows: int, fraction: float, seed: int) -> list[Sample]:
    """The candidates that are held out of `rows` different rows: the same for the same seed, each content once."""
    by_hash = {content_hash(found): found for found in candidates}
    order = np.argsort(drawn(np.array(list(by_hash), np.uint64), seed), kind="stable")
    several = list(by_hash.values())
    return [several[place] for place in order[: wanted(rows, fraction)]]


def hashes(samples: list[Sample]) -> Array:
    return np.array(sorted({content_hash(found) for found in samples}), np.uint64)


def questions(samples: list[Sample]) -> tuple[list[HeldOutRow], list[tuple[Sample, BadRow]]]:
    """The samples that ask something and expect an answer, and why the others do not."""
    rows, others = [], []
    for found in samples:
        try:
            rows.append(held_out_row(found))
        except BadRow as error:
            others.append((found, error))
    return rows, others


def read(context: Context, name: str, file: str, model: Path) -> tuple[list[HeldOutRow], list[Rendered]]:
    """The questions and the scored rows of a held-out file; every row is accounted for. Raises DataError."""
    total = Summary()
    samples: list[Sample] = []
    rejected: list[RejectedRow] = []
    rows: list[RawRow] = []
    for row in reading.rows(find([file])):
        match row:
            case RawRow():
                rows.append(row)
            case RejectedRow():
                rejected.append(row)
            case FileNotice():
                total.notices.append(of_file(row).said)
    shape = recognition.recognise([row.value for row in rows]).shape if rows else "messages"
    for row in rows:
        try:
            samples.append(answered(row, shape))
        except BadRow as error:
            rejected.append(error.at(row.file, row.line))
    parts = [(found.parts[0], found.tools) for found in samples]
    tokens = render_many(parts, loaded(str(model)), context.spec.data.trained)
    kept, scored = [], []
    for found, one in zip(samples, tokens, strict=True):
        if isinstance(one, BadRow):
            rejected.append(one.at(found.file, found.line))
        else:
            kept.append(found)
            scored.append(one)
    total.rows_read, total.rows_kept, total.rows_rejected = len(kept) + len(rejected), len(kept), len(rejected)
    total.tokens = sum(len(one.ids) for one in scored)
    total.trained_tokens = sum(int(one.trained.sum()) for one in scored)
    total.longest = max((len(one.ids) for one in scored), default=0)
    total.rejected = [of_row(row).said for row in rejected]
    left_out = context.work / "rejected-held-out.jsonl"
    left_out.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rejected))
    tell(context, name, total, left_out)
    return questions(kept)[0], scored


def warn_of_overlap(context: Context, rows: list[HeldOutRow], stores: list[Store]) -> None:
    """A question that was trained on says nothing about what was learned."""
    asked = np.array([text_hash(row.question) for row in rows], np.uint64)
    trained = [store.questions(0, store.available) for store in stores]
    shared = np.flatnonzero(np.isin(asked, np.concatenate(trained)))
    if len(shared):
        first = rows[shared[0]].where
        english = "{count} held-out questions are in the training rows too, first {first}."
        context.notice("warning", say("overlap", english, count=len(shared), first=first))


def answered(row: RawRow, shape: str) -> Sample:
    """The row as a whole conversation: its answer may be its last turn or stand in a column. Raises BadRow."""
    if "messages" in row.value:  # both kinds of rows may stand in one file
        shape = "reward_prompt" if "answer" in row.value else "messages"
    found = recognition.sample(row, shape, {})
    if found.parts[0].name != "prompt":
        return found
    asked = held_out_row(found)
    columns = {key: value for key, value in found.columns.items() if key != "answer"}
    return msgspec.structs.replace(found, parts=(Part("conversation", asked.conversation()),), columns=columns)


def rendered(samples: list[Sample], model: Path, trained: str) -> list[Rendered]:
    """What the loss is measured on; a row that cannot be rendered was rejected before it came here."""
    parts = [(found.parts[0], found.tools) for found in samples]
    return [one for one in render_many(parts, loaded(str(model)), trained) if isinstance(one, Rendered)]
