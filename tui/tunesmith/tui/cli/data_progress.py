"""Follow a check of data on standard error: a line that redraws itself on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.recipes.data.checking.report import Report

PLAIN_EVERY_S = 10.0  # a log file wants to be read, not filled


def follow(reports: Iterator[Report]) -> Report:
    """The last report. An interrupt ends the check and its processes; nothing half-written stays."""
    from tunesmith.tui.cli.render import err

    console = err()
    generator: Any = reports  # an iterator with close()
    last: Report | None = None
    said_at = time.monotonic()
    try:
        if console.is_terminal:
            with console.status("reading") as status:
                for last in reports:
                    status.update(line(last))
        else:
            for last in reports:
                if time.monotonic() - said_at >= PLAIN_EVERY_S and not last.finished:
                    said_at = time.monotonic()
                    console.print(line(last))
    finally:
        generator.close()
    assert last is not None  # the last report always comes, or an error instead
    return last


def line(report: Report) -> str:
    rate = f", {report.rows_read / report.seconds:,.0f} rows/s" if report.seconds > 0.5 else ""
    return f"{report.rows_read:,} rows read, {report.rows_kept:,} kept, {report.rows_rejected:,} left out{rate}"
