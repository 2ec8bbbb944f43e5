"""`tunesmith recipe`: what a recipe file may say, for editors and for people."""

from __future__ import annotations

import typer

from tunesmith.tui.cli.options import Json

app = typer.Typer(
    help="Look at what a recipe file may say.", epilog="Example: tunesmith recipe schema --json", no_args_is_help=True
)


@app.callback()
def group() -> None:
    """Look at what a recipe file may say."""


@app.command()
def schema(as_json: Json = False) -> None:
    """Print the JSON schema of a recipe file, for an editor's checks and completion.

    Example: tunesmith recipe schema > tunesmith.schema.json
    """
    import json

    from tunesmith.recipes import spec
    from tunesmith.tui.cli.render import print_json

    if as_json:
        print_json(spec.json_schema())
    else:
        typer.echo(json.dumps(spec.json_schema(), indent=2, ensure_ascii=False))
