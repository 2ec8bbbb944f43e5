"""Every row of a source accounted for: in the journal, in notices, and in a file of those that were left out."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.source import Source
from tunesmith.daemon.worker.data.store import REJECTED, Summary
from tunesmith.recipes.data.checking.findings import FINDINGS
from tunesmith.recipes.words import again, of_finding, say

SHOWN = 20  # rejected rows named in the event; the file has them all
NOTICES = 5  # single rows a person is told of at once


def account(context: Context, source: Source, number: int) -> None:
    """The rows of one training source; `number` tells several apart."""
    kept = context.work / (REJECTED if number == 0 else f"rejected-{number + 1}.jsonl")
    shutil.copyfile(source.store.folder / REJECTED, kept)
    tell(context, source.name, source.store.summary, kept)


def tell(context: Context, file: str, total: Summary, rejected: Path) -> None:
    for noticed in total.notices[:NOTICES]:
        context.notice("info", again(noticed))
    for code, count in total.findings.items():
        context.notice("info", of_finding(code, f"{count} {FINDINGS[code]}.", count))
    for row in total.rejected[:NOTICES]:
        context.notice("warning", say("left_out", "Left out {row}", row=again(row)))
    if more := max(0, total.rows_rejected - NOTICES):
        english = "{more} more rows of {file} were left out; see {rejected}"
        context.notice("warning", say("more_left_out", english, more=more, file=file, rejected=rejected))
    context.emit(
        e.DataChecked(
            time=time.time(),
            file=file,
            rows_read=total.rows_read,
            rows_kept=total.rows_kept,
            rows_rejected=total.rows_rejected,
            tokens=total.tokens,
            trained_tokens=total.trained_tokens,
            longest=total.longest,
            rejected=tuple(str(again(row))[:300] for row in total.rejected[:SHOWN]),
            rejected_said=tuple(again(row).said for row in total.rejected[:SHOWN]),
        )
    )


def first_reasons(sources: Sequence[Source]) -> str:
    first = [str(again(row))[:200] for source in sources for row in source.store.summary.rejected][:2]
    return f"For example {'; '.join(first)}." if first else ""
