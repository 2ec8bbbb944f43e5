"""What `tunesmith models` shows of one model, and its questions before a model is removed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tunesmith.daemon.api.model_store import Snapshot
from tunesmith.daemon.api.models import Described
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import source
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner.badge import Badge
from tunesmith.recipes.planner.place import Place
from tunesmith.tui import models_here
from tunesmith.tui.models_here import Chosen, of_the_name

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home


class Shown(msgspec.Struct, frozen=True):
    """`said` is what the hub says, None when it was not asked; `kept` what is here; facts and badge where known."""

    name: str
    said: Described | None
    kept: list[Snapshot]
    facts: ModelFacts | None
    badge: Badge | None
    place: Place | None


def show(home: Home, model: str, hub: str, revision: str) -> Shown:
    """Raises TunesmithError; what is here is shown when the hub cannot be asked."""
    from tunesmith.daemon.api import model_facts, models
    from tunesmith.daemon.api.offline import is_offline
    from tunesmith.recipes.planner.badge import badge
    from tunesmith.tui.cli import download_progress, plan_inputs

    kept = of_the_name(home, model)
    said = None
    asked = source.parse(model)
    local = isinstance(asked, source.Repository) and asked.hub == source.LOCAL
    if not local and not (kept and is_offline(os.environ)) and not (kept and kept[0].kept.hub == source.LOCAL):
        said = download_progress.run(models.describe(home, model, hub, revision), models.Described, model)
    elif not kept:
        raise ModelError(f"There is no model {model} here", "`tunesmith models list` shows them.", "model_missing")
    facts = None
    if said is not None:
        facts = model_facts.described_facts(said)
    if facts is None and kept:
        facts = model_facts.quiet(home, str(kept[-1].folder), source.preferred(os.environ))
    place = plan_inputs.place_of(home, None, "auto")[0] if facts is not None else None
    found = badge(facts, place) if facts is not None and place is not None else None
    return Shown(model, said, kept, facts, found, place)


def refuse_used(home: Home, models: Sequence[Chosen], *, force: bool) -> None:
    """Raises JobError while a run that is not over uses one of them."""
    using = set() if force else models_here.users(home, models)
    if not using:
        return
    from tunesmith.daemon.api.view import TERMINAL_STATES
    from tunesmith.tui.cli.session import with_client

    views = with_client(lambda client: client.jobs())
    models_here.refuse_living(
        (view.id for view in views if view.id in using and view.state not in TERMINAL_STATES),
        "Wait for it, or `tunesmith jobs cancel {run}`; --force removes the model all the same.",
    )


def ask(models: Sequence[Chosen]) -> None:
    """Raises ModelError where nobody can answer, typer.Abort when the answer is no."""
    import typer

    from tunesmith.recipes.units import bytes_text

    if not sys.stdin.isatty():
        raise ModelError("Removing asks first, and nobody can answer here", "Add --yes.", "not_confirmed")
    freed = bytes_text(models_here.freed(models))
    typer.confirm(f"Remove {', '.join(one.name for one in models)}? It frees {freed}.", abort=True, err=True)
