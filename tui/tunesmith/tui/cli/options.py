"""Options that several commands share, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.tui.cli import completing

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
Force = Annotated[bool, typer.Option("--force", help="Start it whatever the forecast says; this is recorded.")]
Offline = Annotated[bool, typer.Option("--offline", help="Make no connection: only what is on this machine is used.")]
RunId = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's number, or `last` for the newest.", autocompletion=completing.runs),
]


def go_offline(offline: bool) -> None:
    """For this command and all that it starts."""
    if offline:
        import os

        from tunesmith.daemon.api.offline import VARIABLE

        os.environ[VARIABLE] = "1"
