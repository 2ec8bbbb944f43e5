"""Check data files: every row read, recognised, rendered, measured and accounted for in one growing report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import msgspec

from tunesmith.recipes.data.checking import fixes, judgement, rejected_file
from tunesmith.recipes.data.checking.report import Finding, Report
from tunesmith.recipes.data.checking.tally import SAMPLES_KEPT, Evaluation, Tally
from tunesmith.recipes.data.checking.writing import JsonlFile
from tunesmith.recipes.data.examine import Settings, stream
from tunesmith.recipes.data.files import reading, sources
from tunesmith.recipes.data.parsing import recognition
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import FileNotice, RawRow, RejectedRow
from tunesmith.recipes.errors import DataError

REPORT_EVERY_S = 0.2
REJECTED_AT_ONCE = 1000  # rows of no known shape counted together


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to check and how; see Settings. `files` and `evaluation` are files, folders or globs.

    `rejected` is where all rejected rows are written (None: nowhere), `fixes` are keys of FIXES, written to `output`.
    """

    files: tuple[str, ...]
    model: str | None = None
    shape: str | None = None
    mapping: dict[str, str] = {}
    trained: str = "assistant"
    max_length: int | None = None
    over_long: str = "error"
    evaluation: tuple[str, ...] = ()
    rejected: str | None = None
    fixes: tuple[str, ...] = ()
    output: str | None = None
    processes: int | None = None


class Known(msgspec.Struct, frozen=True):
    """The shape of files and what speaks for it; None, with the `problem`, where none was recognised."""

    shape: str | None
    why: str = ""
    findings: tuple[Finding, ...] = ()
    problem: DataError | None = None


def check(options: Options) -> Iterator[Report]:
    """Reports while the files are read, the last one `finished`; closing the iterator ends the work and leaves no file.

    Raises DataError when files cannot be found or written or the options do not fit them, ModelError without a
    tokenizer. Files whose rows cannot be used are no error here: their report says so.
    """
    files, more = inputs(options)
    fixes.check_options(options.fixes, options.output, files, options.files)
    known = recognised(files, options.shape, options.mapping)
    evaluation, about_evaluation = evaluation_rows(options)
    start = Report(
        files=tuple(file.path for file in files),
        formats=formats(files),
        shape=known.shape,
        why=known.why,
        mapping=options.mapping,
        model=options.model,
        max_length=options.max_length,
        over_long=options.over_long,
    )
    tally = Tally(start, evaluation)
    for notice in more:
        tally.notice(notice)
    path = None if options.rejected is None else Path(options.rejected)
    with nullcontext() if path is None else rejected_file.opened(path, start.files) as rejected:
        shown_at = 0.0
        for _ in counted(files, known, options, tally, rejected):
            if time.monotonic() - shown_at >= REPORT_EVERY_S:
                shown_at = time.monotonic()
                yield tally.report()
        if rejected is not None:
            rejected.finish()
    written = options.rejected if rejected is not None and rejected.rows else None
    if path is not None and written is None:
        rejected_file.forget(path)
    report = tally.finished(written, (*known.findings, *about_evaluation))
    if options.fixes and known.shape is not None:
        fixed = fixes.write(files, known.shape, options.mapping, options.fixes, Path(str(options.output)))
        report = msgspec.structs.replace(report, fixed=fixed)
    yield report


def inputs(options: Options) -> tuple[list[sources.SourceFile], list[FileNotice]]:
    """The files to check, without what an earlier check rejected. Raises DataError."""
    found = sources.find(options.files)
    left_out = [file for file in found if Path(file.path).name.endswith(rejected_file.SUFFIX)] if len(found) > 1 else []
    notices = [FileNotice(file.path, "left out: the rejected rows of an earlier check") for file in left_out]
    files = [file for file in found if file not in left_out]
    if not files:
        raise DataError("These are only rejected rows of earlier checks", "Give the data files themselves.")
    return files, notices


def formats(files: Sequence[sources.SourceFile]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for file in files:
        name = f"{file.format}, {file.compression}" if file.compression else file.format
        counts[name] = counts.get(name, 0) + 1
    return counts


def recognised(files: Sequence[sources.SourceFile], shape: str | None, mapping: dict[str, str]) -> Known:
    """The shape of the first rows of `files`. Raises DataError when a shape or mapping that was asked for is wrong."""
    rows = (row.value for row in reading.rows(files) if isinstance(row, RawRow))
    values = list(islice(rows, recognition.ROWS_LOOKED_AT))
    if not values:
        return Known(shape)
    try:
        found = recognition.recognise(values, mapping, shape)
    except DataError as error:
        if shape is not None or mapping:
            raise
        return Known(None, "", (Finding(judgement.ERROR, judgement.NO_SHAPE, error.message, error.hint),), error)
    findings = []
    if found.others:
        others = ", ".join(found.others)
        findings.append(Finding(judgement.INFO, "other_shapes", f"Some of the first rows could also be: {others}"))
    if found.unused:
        unused = ", ".join(found.unused)
        findings.append(Finding(judgement.INFO, "unused_columns", f"Columns that are not read: {unused}"))
    return Known(found.shape, found.why, tuple(findings))


def counted(
    files: Sequence[sources.SourceFile], known: Known, options: Options, tally: Tally, rejected: JsonlFile | None
) -> Iterator[None]:
    """Count every row of `files` in, a step a chunk. Raises DataError, ModelError, MachineError."""
    if known.shape is None:
        for rows in unrecognised(files, known, tally):
            tally.reject(rows)
            write_all(rejected, rows)
            yield
        return
    settings = Settings(
        shape=known.shape,
        mapping=options.mapping,
        model=options.model,
        trained=options.trained,
        max_length=options.max_length,
        over_long=options.over_long,
        keep_samples=SAMPLES_KEPT,
    )
    for examined in stream(files, settings, options.processes):
        tally.add(examined)
        write_all(rejected, examined.rejected)
        yield


def unrecognised(files: Sequence[sources.SourceFile], known: Known, tally: Tally) -> Iterator[list[RejectedRow]]:
    """Every row of `files` as rejected, some at a time."""
    waiting: list[RejectedRow] = []
    for row in reading.rows(files):
        if isinstance(row, FileNotice):
            tally.notice(row)
            continue
        if isinstance(row, RawRow):
            problem = BadRow("no_shape")
            row = problem.at(row.file, row.line)
        waiting.append(row)
        if len(waiting) >= REJECTED_AT_ONCE:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def evaluation_rows(options: Options) -> tuple[Evaluation | None, list[Finding]]:
    """What the evaluation files say, and what to know about them. Raises DataError."""
    if not options.evaluation:
        return None, []
    files = sources.find(options.evaluation)
    known = recognised(files, None, {})
    if known.shape is None:
        raise DataError(
            f"The evaluation rows in {files[0].path} cannot be used", "Check them alone: tunesmith data check FILE."
        )
    seen = Evaluation()
    read = kept = 0
    for examined in stream(files, Settings(shape=known.shape), options.processes):
        seen.add(examined)
        read, kept = read + examined.rows_read, kept + examined.rows_kept
    if read == kept:
        return seen, []
    text = f"{read - kept} of {read} evaluation rows cannot be used and were not compared"
    return seen, [Finding(judgement.WARNING, "evaluation_rejected", text, "", read - kept)]


def write_all(rejected: JsonlFile | None, rows: Sequence[RejectedRow]) -> None:
    if rejected is not None:
        for row in rows:
            rejected.write(row)
