"""`tunesmith doctor`: is everything here that a run needs, and what to do about what is not."""

from __future__ import annotations

import typer

from tunesmith.tui.cli.options import Json


def doctor(as_json: Json = False) -> None:
    """Check this machine and the installation.

    Exit code 0 unless something essential is missing.

    Example: tunesmith doctor --json
    """
    import msgspec
    from rich.text import Text

    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes import machine
    from tunesmith.tui.cli import checks, render

    home = Home.find()
    found = machine.detect(home.root)
    results = checks.run(home, found)
    failed = any(check.state == checks.FAIL for check in results)
    if as_json:
        render.print_json(
            {
                "ok": not failed,
                "machine": msgspec.to_builtins(found),
                "checks": [msgspec.to_builtins(check) for check in results],
            }
        )
    else:
        console = render.out()
        for check in results:
            style = {checks.OK: "green", checks.WARN: "yellow"}.get(check.state, "bold red")
            console.print(
                Text.assemble((f"{check.state:<5}", style), f"{check.name:<16} {check.meaning}"), soft_wrap=True
            )
            if check.fix:
                console.print(Text.assemble("      ", ("fix: ", "cyan"), check.fix), soft_wrap=True)
    if failed:
        raise typer.Exit(1)
