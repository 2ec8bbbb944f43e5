"""`tunesmith plan`: what training a model would take here or elsewhere, and the three plans that suit it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli import completing
from tunesmith.tui.cli.options import Json, Offline, go_offline

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.planner.plans import Recommendation
    from tunesmith.tui.cli.plan_inputs import Asked


def plan(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="`starter`, a folder, a catalogue's name, owner/name at a hub, a GGUF or a config.json.",
            autocompletion=completing.models,
        ),
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="FILE", help="Training data; may be repeated.")
    ] = None,
    method: Annotated[str | None, typer.Option("--method", help="What is learned from it: sft.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A value of the recipe that every plan keeps."),
    ] = None,
    simulate: Annotated[
        str | None,
        typer.Option("--simulate", metavar="MACHINE", help="Another machine: a key, or what doctor --json wrote."),
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cuda, mps or cpu.")] = None,
    write: Annotated[str | None, typer.Option("--write", metavar="FILE", help="Write the plan's recipe.")] = None,
    which: Annotated[
        str | None, typer.Option("--plan", help="Which plan is explained and written: lean, balanced, best.")
    ] = None,
    machines: Annotated[bool, typer.Option("--machines", help="List the machines that --simulate knows.")] = False,
    models: Annotated[bool, typer.Option("--models", help="List the catalogue with what fits.")] = False,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Plan a run: memory, time and disk of three recipes, the reason of every value.

    No model is loaded or fetched; of one that nothing here knows the hub is asked for its sizes.

    Exit code 0 when a plan fits, 1 when none does.

    Example: tunesmith plan --model qwen2.5-7b-instruct --simulate rtx-4090
    """
    from tunesmith.daemon.api import learning
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.errors import RecipeError, nearest
    from tunesmith.recipes.planner import learned as corrections
    from tunesmith.recipes.planner.plans import PLANS
    from tunesmith.recipes.planner.recommend import recommend
    from tunesmith.tui.cli import plan_inputs, plan_lists, plan_text

    go_offline(offline)
    home = Home.find()
    if which is not None and which not in PLANS:
        raise RecipeError(f"There is no plan '{which}'", nearest(which, PLANS))
    if machines:
        return plan_lists.machines(as_json)
    if models:
        return plan_lists.models(plan_inputs.place_of(home, simulate, device or "auto")[0], as_json)
    if model is None:
        raise RecipeError("Plan which model?", "Add --model; `tunesmith plan --models` lists some.", "no_model")
    asked = ask(home, model, data or [], method, settings or [], simulate, device)
    if write is not None:
        plan_inputs.refuse_unwritable(asked.model, model, data or [])
    learned = corrections.Learned() if asked.simulated else learning.learned(home)
    found = recommend(asked.spec, asked.explicit, asked.model.facts, asked.rows, asked.place, learned)
    if as_json:
        plan_text.print_json(asked, found)
    else:
        chosen = found.plan(which or found.recommended or found.plans[0].key)
        kind = corrections.key(chosen.spec, asked.model.facts, asked.place.device, chosen.forecast.dtype)
        plan_text.print_plans(asked, found, which, learned.of(kind))
    finish(found, which, write)


def ask(
    home: Home,
    name: str,
    data: list[str],
    method: str | None,
    settings: list[str],
    simulate: str | None,
    device: str | None,
) -> Asked:
    """Raises ModelError, DataError, RecipeError, MachineError for what is wrong in the options."""
    from tunesmith.recipes.units import bytes_text
    from tunesmith.tui.cli import plan_inputs
    from tunesmith.tui.texts import t

    model = plan_inputs.model_of(name, home)
    spec, explicit = plan_inputs.spec_of(model, name, data, method, settings, device)
    rows, sampled = plan_inputs.rows_of(spec, data, model, name, home)
    place, notes = plan_inputs.place_of(home, simulate, spec.training.device)
    if model.facts.to_fetch:
        notes = (t("plan.to_fetch", bytes=bytes_text(model.facts.to_fetch)), *notes)
    return plan_inputs.Asked(model, spec, explicit, rows, sampled, place, simulate is not None, notes)


def finish(found: Recommendation, which: str | None, write: str | None) -> None:
    """Write the recipe; end with 1 where nothing fits. Raises MachineError."""
    from pathlib import Path

    from tunesmith.recipes.errors import MachineError
    from tunesmith.recipes.spec import to_yaml
    from tunesmith.tui.cli.render import err

    chosen = which or found.recommended
    if write is not None and chosen:
        try:
            Path(write).write_text(to_yaml(found.plan(chosen).spec), "utf-8")
        except OSError as error:
            raise MachineError(f"{write} cannot be written: {error.strerror}", "Give another path.") from error
        err().print(f"{chosen}: {write}    tunesmith run {write} --wait")
    if not found.recommended:
        raise typer.Exit(1)
