"""`tunesmith doctor`: what this machine has and can do, whether all that a run needs is here, and what to do if not."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Json

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.errors import MachineError
    from tunesmith.recipes.machine import Machine
    from tunesmith.recipes.measured import Measured
    from tunesmith.tui.cli.check import Check

Refresh = Annotated[bool, typer.Option("--refresh", help="Measure again what was measured before.")]


def doctor(as_json: Json = False, refresh: Refresh = False) -> None:
    """Check this machine and the installation.

    The first time it measures how fast this machine is and tries the libraries, half a minute's work. Exit code 0
    unless something essential is missing.

    Example: tunesmith doctor --json
    """
    import msgspec

    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes import machine
    from tunesmith.recipes.errors import MachineError
    from tunesmith.tui.cli import check, checks, render

    home = Home.find()
    found, measured = _look(home, machine.detect(home.root), refresh)
    results = checks.run(home, found, measured)
    failed = any(one.state == check.FAIL for one in results)
    if as_json:
        render.print_json(
            {
                "ok": not failed,
                "machine": msgspec.to_builtins(found),
                "measured": None if isinstance(measured, MachineError) else msgspec.to_builtins(measured),
                "checks": [msgspec.to_builtins(one) for one in results],
            }
        )
    else:
        _print(render.out(), results)
    if failed:
        raise typer.Exit(1)


def _look(home: Home, found: Machine, refresh: bool) -> tuple[Machine, Measured | MachineError]:
    """The machine with what torch sees of it, and what was measured, now or before; or why it was not."""
    from tunesmith.daemon.api import measuring
    from tunesmith.recipes.errors import MachineError
    from tunesmith.recipes.measured.merge import merge
    from tunesmith.tui.cli import render

    before = None if refresh else measuring.kept(home, found)
    try:
        if before is None:
            console = render.err()
            console.print("Measuring this machine, once: about half a minute.")
            with console.status("") as status:
                now = measuring.measure(home, found, lambda step: status.update(f"measuring: {step}"))
            return merge(found, now.surface), now
        if measuring.only_torch_knows(before.surface):
            return merge(found, measuring.surface_now()), before
    except MachineError as error:
        return found, before or error
    return merge(found, before.surface, live=False), before


def _print(console: Console, results: list[Check]) -> None:
    """By group: state, name and meaning in columns, each wrapped in its own; the fix below."""
    from rich.table import Table
    from rich.text import Text

    from tunesmith.tui.cli.check import FAIL, OK, WARN
    from tunesmith.tui.plain import plain

    styles = {OK: "green", WARN: "yellow", FAIL: "bold red"}
    for group, checks in groupby(results, key=lambda check: check.group):
        console.print(Text(group, "bold"))
        table = Table.grid(padding=(0, 1))
        table.add_column(width=5)
        table.add_column(width=13)
        table.add_column(overflow="fold")
        for check in checks:
            meaning = Text(plain(check.meaning))  # drivers and libraries may say anything
            if check.fix:
                meaning.append("\nfix: ", "cyan").append(check.fix)
            table.add_row(Text(check.state, styles[check.state]), Text(check.name), meaning)
        console.print(table)
    count = {state: sum(check.state == state for check in results) for state in (WARN, FAIL)}
    if count[FAIL]:
        console.print(Text(f"{count[FAIL]} missing that a run needs: put right what says fail.", styles[FAIL]))
    elif count[WARN]:
        console.print(Text(f"All that a run needs is here; {count[WARN]} could be better.", styles[WARN]))
    else:
        console.print(Text("All that a run needs is here.", styles[OK]))
