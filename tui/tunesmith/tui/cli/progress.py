"""Follow a job on standard error: a live picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.view import JobView, StageView
from tunesmith.recipes.units import bytes_text, count_text, duration_text
from tunesmith.tui.cli.computing_text import paths_lines, speed_text
from tunesmith.tui.cli.render import err, one_line, run_seconds, stage_now, verdict, waiting_text
from tunesmith.tui.run_words import notice_text, words

REDRAWS_A_SECOND = 8
PLAIN_EVERY_S = 10.0  # a log file wants to be read, not filled
SAMPLE_CHARACTERS = 200
MARKS = {"waiting": ("·", "dim"), "running": (">", "bold cyan"), "done": ("✓", "green"), "failed": ("✗", "bold red")}


async def follow(client: Client, job_id: int) -> JobView:
    """The job's last view; shows what happens until it ends."""
    console = err()
    views = client.watch(job_id)
    return await (live(console, views) if console.is_terminal else plain(console, views))


async def live(console: Console, views: AsyncIterator[JobView]) -> JobView:
    """Stages as a chain that redraws itself; notices scroll above it."""
    view: JobView | None = None
    before: JobView | None = None
    seen = 0
    with Live(
        console=console,
        refresh_per_second=REDRAWS_A_SECOND,
        get_renderable=lambda: picture(view) if view is not None else Text(""),
    ) as screen:
        async for view in views:
            seen = print_notices(screen.console, view, seen)
            print_samples(screen.console, before, view)
            print_paths(screen.console, before, view, briefly=True)
            before = view
    assert view is not None  # watch always yields the view it starts from
    return view


async def plain(console: Console, views: AsyncIterator[JobView]) -> JobView:
    """A line a stage, and one every PLAIN_EVERY_S in between."""
    before: JobView | None = None
    view: JobView | None = None
    seen, last_line = 0, time.monotonic()
    async for view in views:
        seen = print_notices(console, view, seen)
        print_samples(console, before, view)
        print_paths(console, before, view)
        for line in changes(before, view):
            console.print(line)
            last_line = time.monotonic()
        if time.monotonic() - last_line >= PLAIN_EVERY_S and (stage := stage_now(view)):
            console.print(f"run {view.id}: {stage} {stage_detail(view, view.stage(stage))}".rstrip())
            last_line = time.monotonic()
        before = view
    assert view is not None  # watch always yields the view it starts from
    return view


def print_notices(console: Console, view: JobView, seen: int) -> int:
    """Print the notices past the first `seen`; returns how many there are now."""
    for notice in view.notices[seen:]:
        style = {"warning": "yellow", "error": "red"}.get(notice.level, "dim")
        console.print(Text.assemble((f"{notice.level}: ", style), notice_text(notice)))
    return len(view.notices)


def print_samples(console: Console, before: JobView | None, view: JobView) -> None:
    """What the model answers while it learns."""
    for sample in view.samples[len(before.samples) if before else 0 :]:
        mark = verdict(sample.correct)
        said = one_line(sample.answer, SAMPLE_CHARACTERS)
        console.print(Text.assemble(
            (f"step {sample.step}: ", "bold"), one_line(sample.question, SAMPLE_CHARACTERS), "  ", mark,
            ": " if mark.plain else "", said,
        ))  # fmt: skip


def print_paths(console: Console, before: JobView | None, view: JobView, *, briefly: bool = False) -> None:
    """How each part of a step is computed and why, once it is known: no slower path is taken silently."""
    if view.paths and (before is None or before.paths != view.paths):
        for line in paths_lines(view, briefly=briefly):
            console.print(Text("  ").append_text(line))


def changes(before: JobView | None, view: JobView) -> list[str]:
    """What a person who reads a log wants to know about the step from one view to the next."""
    lines: list[str] = []
    if before is None or before.state != view.state:
        lines.append(f"run {view.id}: {view.state}")
    if (waiting := waiting_text(view)) and (before is None or waiting_text(before) != waiting):
        lines.append(f"run {view.id}: {waiting}")
    earlier = {stage.name: stage.state for stage in before.stages} if before else {}
    for stage in view.stages:
        if stage.state == earlier.get(stage.name, "waiting"):
            continue
        took = f" in {duration_text(stage.seconds)}" if stage.seconds is not None else ""
        lines.append(f"run {view.id}: {stage.name} {stage.state}{took}")
    return lines


def stage_detail(view: JobView, stage: StageView) -> str:
    """How far a running stage is, in its own unit, with what matters while training."""
    parts: list[str] = []
    if stage.total:
        counted = bytes_text if stage.unit == "bytes" else count_text
        unit = "" if stage.unit == "bytes" else f" {stage.unit}"
        parts.append(f"{counted(stage.done)}/{counted(stage.total)}{unit}")
    step = view.step if stage.name == "train" else None
    eta = stage.eta_s if step is None else step.eta_s
    if eta is not None:
        parts.append(f"{duration_text(eta)} left")
    if step is not None:
        parts += [f"loss {step.loss:.3f}", speed_text(step), bytes_text(step.memory_bytes)]
    if stage.note and step is None:
        parts.append(words(stage.note, stage.note_said))
    return ", ".join(parts)


def picture(view: JobView) -> RenderableType:
    """The chain of stages with bars, as of `view`."""
    table = Table.grid(padding=(0, 1), expand=True)  # what does not fit is cut from the details alone
    table.add_column(width=1)
    table.add_column(width=9)
    table.add_column(width=20)
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    for stage in view.stages:
        mark, style = MARKS[stage.state]
        bar: RenderableType = Text("")
        detail = ""
        if stage.state == "running":
            bar = ProgressBar(total=1.0, completed=stage.fraction, width=20, pulse=not stage.total)
            detail = stage_detail(view, stage)
        elif stage.seconds is not None:
            detail = duration_text(stage.seconds)
        table.add_row(Text(mark, style), Text(stage.name, style), bar, Text(detail))
    head = Text(f"run {view.id} {view.name}: {view.state}, {duration_text(run_seconds(view))}", "bold")
    if view.ended_already:
        return Group(head, table)
    if waiting := waiting_text(view):
        return Group(head, Text(waiting, "yellow"), Text(f"start it now: tunesmith resume {view.id} --force", "dim"))
    return Group(head, table, Text("ctrl-c leaves; the run goes on", "dim"))
