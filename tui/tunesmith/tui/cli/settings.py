"""`tunesmith settings`: what is settled once for all (language, theme, hub, offline, engines), and where all lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Json

if TYPE_CHECKING:
    from tunesmith.daemon.api.settings import Settings

app = typer.Typer(
    help="Look at what is settled for the wizard and all commands, and change it.",
    epilog="Example: tunesmith settings show",
)
Key = Annotated[str, typer.Argument(metavar="KEY", help="language, theme, hub, offline, or serve.vllm and the like.")]


@app.callback(invoke_without_command=True)
def group(context: typer.Context, as_json: Json = False) -> None:
    """Look at what is settled for the wizard and all commands, and change it."""
    if context.invoked_subcommand is None:
        show(as_json)


@app.command()
def show(as_json: Json = False) -> None:
    """Show every setting, who says so (the file, the environment or nobody), and where everything lies.

    Example: tunesmith settings show --json
    """
    import os

    from rich.text import Text

    from tunesmith.daemon.api import places, settings
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.units import bytes_text
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.plan_lists import grid

    home = Home.find()
    found = settings.in_force(settings.read(home), os.environ)
    lies = list(places.measured(home))
    if as_json:
        said = {key: {"value": value_of(key, one.value), "by": one.by} for key, one in found.items()}
        render.print_json({"file": str(home.settings), "settings": said, "places": lies})
        return
    table = grid("setting", "value", "")
    for key, one in found.items():
        by = f"{one.by} is set" if one.by_environment else "" if one.by == "file" else "by default"
        table.add_row(key, one.value, by)
    console = render.out()
    console.print(table)
    console.print()
    where = grid("what", "size", "where")
    for place in lies:
        where.add_row(place.key, "-" if place.bytes is None else bytes_text(place.bytes), Text(place.path))
    console.print(where)


@app.command()
def get(key: Key, as_json: Json = False) -> None:
    """Print what counts now for one setting.

    Example: tunesmith settings get hub
    """
    import os

    from tunesmith.daemon.api import settings
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli import render

    home = Home.find()
    one = settings.in_force(settings.read(home), os.environ)[settings.known(key)]
    if as_json:
        render.print_json({"key": key, "value": value_of(key, one.value), "by": one.by})
    else:
        render.print_plain(one.value)


@app.command("set")
def set_(
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="A wrong one is refused with those there are.")],
    as_json: Json = False,
) -> None:
    """Settle something for the wizard and all commands. What the environment sets still wins, and that is said.

    Example: tunesmith settings set hub huggingface
    """
    import os

    from tunesmith.daemon.api import settings
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui import texts
    from tunesmith.tui.cli import render

    home = Home.find()
    now = settings.change(home, key, value, texts.LANGUAGES)
    tell(now, key, as_json)
    counts = settings.in_force(now, os.environ)[key]
    if counts.by_environment and not as_json:
        render.err().print(f"note: {counts.by} is set, so {key} is {counts.value} here")


@app.command()
def reset(
    key: Annotated[str, typer.Argument(metavar="[KEY]", help="All of them when left out.")] = "", as_json: Json = False
) -> None:
    """Take back what was settled. A file that cannot be read is kept beside the new one.

    Example: tunesmith settings reset theme
    """
    from tunesmith.daemon.api import settings
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui import texts
    from tunesmith.tui.cli import render

    home = Home.find()
    if key:
        default = settings.Settings().text(settings.known(key))
        tell(settings.change(home, key, default, texts.LANGUAGES), key, as_json)
        return
    kept = settings.reset(home)
    if as_json:
        render.print_json({"reset": True, "kept": str(kept) if kept else None})
    else:
        print("all settings are as they are by default")
        if kept is not None:
            render.err().print(f"the old file is kept: {kept}")


def tell(now: Settings, key: str, as_json: bool) -> None:
    from tunesmith.tui.cli import render

    if as_json:
        render.print_json({"key": key, "value": getattr(now, key)})
    else:
        print(f"{key} = {now.text(key)}")


def value_of(key: str, text: str) -> str | bool:
    """As JSON says it."""
    return text == "true" if key == "offline" else text
