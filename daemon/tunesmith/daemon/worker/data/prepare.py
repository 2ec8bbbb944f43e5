"""The prepare stage: every row read, checked, rendered and accounted for; held-out rows set apart."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.render import Rendered, render, shorten
from tunesmith.daemon.worker.data.split import split
from tunesmith.recipes import starter
from tunesmith.recipes.data.reading import held_out_row, read, training_row
from tunesmith.recipes.data.rows import HeldOutRow, RejectedRow, TrainingRow
from tunesmith.recipes.errors import DataError
from tunesmith.recipes.spec import STARTER

SHOWN = 20  # rejected rows named in the event; rejected.jsonl has them all
NOTICES = 5  # single rows a person is told of at once


def run(context: Context) -> None:
    data, training = context.spec.data, context.spec.training
    context.tokenizer = load.tokenizer(context.base)
    rows, rejected = training_rows(context)
    held_out_missing = data.held_out is None
    if held_out_missing:
        rows, context.held_out = split(rows, data.held_out_fraction, training.seed)
    rendered: list[Rendered] = []
    for index, row in enumerate(rows, 1):
        context.progress(index, len(rows), "rows")
        try:
            short = shorten(render(row.messages, context.tokenizer), training.max_length, data.over_long)
        except DataError as error:
            raise DataError(f"{row.where}: {error.message}", error.hint) from error
        if short is None or not short.trained:
            why = f"longer than {training.max_length} tokens" if short is None else "no token to learn from"
            rejected.append(RejectedRow(row.where, why))
        else:
            rendered.append(short)
    context.rows = rendered
    set_apart = context.held_out if held_out_missing else []
    report(context, named(data.train, "train"), rejected, rendered, len(set_apart))
    if held_out_missing:
        context.notice("info", f"{len(set_apart)} rows are held out of training to test what was learned.")
    else:
        context.held_out = held_out_rows(context, str(data.held_out))
        warn_of_overlap(context, rows)
    if not rendered:
        raise DataError(
            f"{data.train} has no usable row", first_reasons(rejected) or "Give one JSON object with `messages` a line."
        )


def training_rows(context: Context) -> tuple[list[TrainingRow], list[RejectedRow]]:
    data = context.spec.data
    if data.train != STARTER:
        return read(Path(data.train), training_row)
    found = starter.starter_rows("train", data.persona)
    return [training_row(row, f"train.jsonl:{number}") for number, row in enumerate(found, 1)], []


def held_out_rows(context: Context, source: str) -> list[HeldOutRow]:
    """Rows of the held-out file; those that cannot be used are reported like training rows."""
    if source == STARTER:
        found = starter.starter_rows("held_out", context.spec.data.persona)
        rows = [held_out_row(row, f"held_out.jsonl:{number}") for number, row in enumerate(found, 1)]
        rejected: list[RejectedRow] = []
    else:
        rows, rejected = read(Path(source), held_out_row)
    rendered = [render(row.conversation(), context.tokenizer) for row in rows]
    report(context, named(source, "held_out"), rejected, rendered, 0, "rejected-held-out.jsonl")
    return rows


def named(source: str, kind: str) -> str:
    """The file behind a source: the starter has several."""
    return f"{STARTER}/{kind}.jsonl" if source == STARTER else source


def report(
    context: Context,
    file: str,
    rejected: list[RejectedRow],
    rendered: list[Rendered],
    set_apart: int,
    name: str = "rejected.jsonl",
) -> None:
    """Account for every row of `file`, in the journal and in a file; rows set apart were kept too."""
    kept = len(rendered) + set_apart
    encoder = msgspec.json.Encoder()
    (context.work / name).write_bytes(b"".join(encoder.encode(row) + b"\n" for row in rejected))
    for row in rejected[:NOTICES]:
        context.notice("warning", f"Left out {row}")
    if len(rejected) > NOTICES:
        more = f"{len(rejected) - NOTICES} more rows of {file} were left out"
        context.notice("warning", f"{more}; see {context.work / name}")
    context.emit(
        e.DataChecked(
            time=time.time(),
            file=file,
            rows_read=kept + len(rejected),
            rows_kept=kept,
            rows_rejected=len(rejected),
            tokens=sum(len(row.input_ids) for row in rendered),
            trained_tokens=sum(row.trained for row in rendered),
            longest=max((len(row.input_ids) for row in rendered), default=0),
            rejected=tuple(str(row)[:300] for row in rejected[:SHOWN]),
        )
    )


def first_reasons(rejected: list[RejectedRow]) -> str:
    return f"For example {'; '.join(str(row)[:200] for row in rejected[:2])}." if rejected else ""


def warn_of_overlap(context: Context, rows: list[TrainingRow]) -> None:
    """A question that was trained on says nothing about what was learned."""
    trained = {row.messages[index - 1]["content"] for row in rows for index in range(1, len(row.messages))}
    shared = [row.where for row in context.held_out if row.question in trained]
    if shared:
        context.notice("warning", f"{len(shared)} held-out questions are in the training rows too, first {shared[0]}.")
