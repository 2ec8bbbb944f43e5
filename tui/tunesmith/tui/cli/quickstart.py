"""`tunesmith quickstart`: the whole path on the starter model, from nothing to a tuned model that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Json

if TYPE_CHECKING:
    from tunesmith.recipes.spec import JobSpec


def quickstart(
    name: Annotated[str | None, typer.Option("--name", help="What the tuned model shall call itself.")] = None,
    maker: Annotated[str | None, typer.Option("--maker", help="Who it shall say made it.")] = None,
    as_json: Json = False,
) -> None:
    """Tune the starter model on this machine, compare before and after.

    Exports and verifies the result; needs no network; takes minutes. Ctrl-c leaves, the run goes on.

    Example: tunesmith quickstart --name Vesper --maker "Juniper Labs"
    """
    import time

    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.run import submit
    from tunesmith.tui.cli.session import wait_for

    began = time.monotonic()
    spec = starter(name, maker)
    view = submit(spec)
    persona = spec.data.persona
    render.err().print(f"run {view.id}: teaching the starter model to be {persona.name} of {persona.maker}")
    view = wait_for(view.id)
    if as_json:
        render.print_json(render.result(view) | {"seconds": round(time.monotonic() - began, 1)})
    else:
        render.print_result(view)


def starter(name: str | None, maker: str | None) -> JobSpec:
    """The starter preset with the person's own name and maker."""
    import msgspec

    from tunesmith.recipes import presets, spec

    preset = spec.load(presets.path("starter"))
    changed = {key: value for key, value in (("name", name), ("maker", maker)) if value is not None}
    persona = msgspec.structs.replace(preset.data.persona, **changed)
    filled = msgspec.structs.replace(preset, data=msgspec.structs.replace(preset.data, persona=persona))
    return spec.complete(filled)
