"""`tunesmith data list` and `tunesmith data get`: well-known public data sets, and fetching one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.tui.cli import completing
from tunesmith.tui.cli.options import Json

if TYPE_CHECKING:
    from tunesmith.daemon.api.downloads import Downloaded
    from tunesmith.recipes.data.public_sets import PublicSet


def list_sets(
    shape: Annotated[list[str] | None, typer.Option("--shape", help="Only sets whose rows have this shape.")] = None,
    language: Annotated[list[str] | None, typer.Option("--language", help="Only sets in it: en, zh.")] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--for", metavar="TOPIC", help="Only sets good for it: chat, math, code, ...")
    ] = None,
    as_json: Json = False,
) -> None:
    """List well-known public data sets: what they are good for, licence, size, where they lie.

    Options may be repeated; one of each is enough.

    Example: tunesmith data list --language zh --for reasoning
    """
    import msgspec

    from tunesmith.recipes.data import public_sets
    from tunesmith.tui.cli import render

    known = public_sets.sets().values()
    refuse_unknown("shape", shape, {public_set.shape for public_set in known})
    refuse_unknown("language", language, {code for public_set in known for code in public_set.languages})
    refuse_unknown("topic", topic, public_sets.TOPICS)
    found = public_sets.matching(shape or (), language or (), topic or ())
    if as_json:
        render.print_json({"sets": [msgspec.to_builtins(public_set) for public_set in found]})
        return
    console = render.out()
    if found:
        console.print(table(found))
    console.print(f"\n{len(found)} of {len(known)} sets.  next:  tunesmith data get NAME")


def get_set(
    name: Annotated[
        str,
        typer.Argument(
            help="A name that `tunesmith data list` shows.", show_default=False, autocompletion=completing.data_sets
        ),
    ],
    hub: Annotated[str, typer.Option("--hub", help="modelscope or huggingface; else the set's first one.")] = "",
    to: Annotated[Path | None, typer.Option("--to", help="Folder for its files; else one in Tunesmith's home.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch a public data set, verified; an interrupted download goes on where it stopped.

    Only data files are fetched and nothing of a repository is run. HF_ENDPOINT and MODELSCOPE_ENDPOINT set a mirror,
    HF_TOKEN and MODELSCOPE_API_TOKEN your account.

    Example: tunesmith data get alpaca-gpt4-zh
    """
    import shlex

    from rich.text import Text

    from tunesmith.recipes.data import public_sets
    from tunesmith.recipes.errors import DataError, nearest
    from tunesmith.tui.cli import render

    public_set = public_sets.find(name)
    if hub and hub not in public_set.repositories:
        raise DataError(f"{name} is not known at '{hub}'", nearest(hub, public_set.repositories), "unknown_hub")
    done = fetched(public_set, hub, to)
    command = check_command(public_set, done.folder)
    if as_json:
        shown = {"name": name, "hub": done.hub, "repository": done.repository, "revision": done.revision,
                 "folder": done.folder, "files": done.files, "bytes": done.bytes, "license": public_set.license,
                 "shape": public_set.shape, "mapping": public_set.mapping, "check": command}  # fmt: skip
        render.print_json(shown)
        return
    console = render.out()
    for file in done.files:
        console.print(Text(file), soft_wrap=True)
    console.print(f"licence:  {public_set.license}  ({public_set.source})", soft_wrap=True)
    if public_set.note:
        console.print(f"note:     {public_set.note}", soft_wrap=True)
    console.print(Text(f"\nnext:  {shlex.join(command)}"), soft_wrap=True)


def check_command(public_set: PublicSet, folder: str) -> list[str]:
    """What to type next: the check, told what the catalogue knows of the set's rows."""
    mapping = [word for column, field in public_set.mapping.items() for word in ("--map", f"{column}={field}")]
    return ["tunesmith", "data", "check", folder, "--shape", public_set.shape, *mapping]


def refuse_unknown(what: str, given: Iterable[str] | None, known: Iterable[str]) -> None:
    """Raises DataError for a value that no set has."""
    from tunesmith.recipes.errors import DataError, nearest

    for value in given or ():
        if value not in known:
            raise DataError(f"There is no set with the {what} '{value}'", nearest(value, known), f"unknown_{what}")


def table(found: list[PublicSet]) -> Any:
    from rich.table import Table
    from rich.text import Text

    from tunesmith.recipes.units import bytes_text, count_text

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column, justify in (("name", "left"), ("shape", "left"), ("rows", "right"), ("size", "right")):
        shown.add_column(column, justify="right" if justify == "right" else "left", no_wrap=True)
    shown.add_column("in", no_wrap=True)
    shown.add_column("licence", no_wrap=True)
    shown.add_column("good for", ratio=1)
    for public_set in found:
        shown.add_row(
            Text(public_set.key, "bold"),
            public_set.shape,
            count_text(public_set.rows) if public_set.rows else "",
            bytes_text(public_set.bytes) if public_set.bytes else "",
            " ".join(public_set.languages),
            public_set.license,
            Text(public_set.good_for),
        )
    return shown


def fetched(public_set: PublicSet, hub: str, folder: Path | None) -> Downloaded:
    """Run the download to its end, its progress on standard error. Raises TunesmithError."""
    from tunesmith.daemon.api import downloads
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli import download_progress, render

    chosen = hub or next(iter(public_set.repositories))
    render.err().print(f"{public_set.title}, from {chosen}: {public_set.repositories[chosen].id}")
    where = None if folder is None else folder.expanduser().absolute()
    messages = downloads.download(Home.find(), public_set.key, chosen, where)
    return download_progress.run(messages, downloads.Downloaded, public_set.key, public_set.bytes)
