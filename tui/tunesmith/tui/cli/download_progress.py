"""Follow a download on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import msgspec

    from tunesmith.daemon.api.downloads import Progress

PLAIN_EVERY_S = 10.0  # between two lines of progress in a log file
Last = TypeVar("Last", bound="msgspec.Struct")


async def follow(
    messages: AsyncGenerator[Progress | Last, None], last: type[Last], name: str, total: int | None = None
) -> Last:
    """The message that ends it; `name` is what is shown before the bar. Raises TunesmithError."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from tunesmith.daemon.api.downloads import Checking, Downloading, Waiting
    from tunesmith.recipes.units import bytes_text
    from tunesmith.tui.cli import render
    from tunesmith.tui.run_words import words

    console = render.err()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())  # fmt: skip
    told_at, waited = time.monotonic(), ""
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task(name, total=total)
        async with aclosing(messages) as arriving:
            async for message in arriving:
                match message:
                    case Waiting(text, said):
                        if text != waited:
                            waited = text
                            console.print(f"waiting: {words(text, said)}")
                    case Downloading(done, of) | Checking(done, of):
                        what = name if isinstance(message, Downloading) else f"{name}, verifying"
                        bars.update(task, description=what, completed=done, total=of)
                        if not console.is_terminal and time.monotonic() - told_at >= PLAIN_EVERY_S:
                            told_at = time.monotonic()
                            console.print(f"{what}: {bytes_text(done)} of {bytes_text(of)}")
                    case _ if isinstance(message, last):
                        return message
    raise AssertionError("it ends with its last message or an error")


def run(messages: AsyncGenerator[Progress | Last, None], last: type[Last], name: str, total: int | None = None) -> Last:
    """`follow` for a command; ctrl-c says that what arrived is kept."""
    import asyncio

    from tunesmith.tui.cli import render

    try:
        return asyncio.run(follow(messages, last, name, total))
    except KeyboardInterrupt:
        render.err().print("What arrived is kept: the same command goes on from there.")
        raise
