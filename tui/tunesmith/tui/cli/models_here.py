"""What lies in the cache of models, who uses it, and taking it away: what `tunesmith models` shows and does."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunesmith.daemon.api import model_store, model_uses
from tunesmith.daemon.api.model_store import Incomplete, Snapshot
from tunesmith.daemon.api.models import Described
from tunesmith.recipes.errors import JobError, ModelError
from tunesmith.recipes.models import source
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner.badge import Badge
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.spec import STARTER

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home


class Here(msgspec.Struct, frozen=True):
    """`starter` is None until it was unpacked."""

    snapshots: list[Snapshot]
    incomplete: list[Incomplete]
    users: Mapping[Path, list[int]]
    starter: Path | None
    bytes: int


class Shown(msgspec.Struct, frozen=True):
    """`said` is what the hub says, None when it was not asked; `kept` what is here; facts and badge where known."""

    name: str
    said: Described | None
    kept: list[Snapshot]
    facts: ModelFacts | None
    badge: Badge | None
    place: Place | None


class Chosen(msgspec.Struct, frozen=True):
    """What one name means: whole models, and downloads that are not."""

    name: str
    snapshots: list[Snapshot]
    incomplete: list[Incomplete]


def look(home: Home) -> Here:
    starter = home.models / STARTER
    snapshots = model_store.snapshots(home)
    everything = model_store.bytes_on_disk(starter) + model_store.frees(snapshots)
    incomplete = model_store.incomplete(home)
    return Here(
        snapshots,
        incomplete,
        model_uses.users(home, source.preferred(os.environ)),
        starter if starter.is_dir() else None,
        everything + sum(one.partial.there for one in incomplete),
    )


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


def of_the_name(home: Home, model: str) -> list[Snapshot]:
    """In the cache, by any name that means it."""
    found = model_store.matching(home, model)
    asked = source.parse(model)
    if not found and isinstance(asked, source.Named | source.Repository):
        for hub, id in source.candidates(asked, source.preferred(os.environ)):
            found += model_store.matching(home, str(source.Repository(hub, id, asked.revision)))
    return found


def chosen(home: Home, names: Sequence[str]) -> list[Chosen]:
    """Raises ModelError for a name that nothing here has."""
    found = []
    for name in dict.fromkeys(names):
        if name == STARTER:
            raise ModelError("The starter comes with the install", "It is unpacked again when it is needed.", "starter")
        snapshots = of_the_name(home, name)
        incomplete = [one for one in model_store.incomplete(home) if is_named(one, name)]
        if not snapshots and not incomplete:
            raise ModelError(
                f"No model in the cache is called '{name[:200]}'",
                "`tunesmith models list` shows them.",
                "model_missing",
            )
        found.append(Chosen(name, snapshots, incomplete))
    return found


def is_named(one: Incomplete, name: str) -> bool:
    wanted = name.partition("@")[0].lower()
    id = one.partial.repository.lower()
    return wanted in (id, f"{one.partial.hub}:{id}")


def refuse_used(home: Home, models: Sequence[Chosen], *, force: bool) -> None:
    """Raises JobError while a run that is not over uses one of them."""
    if force:
        return
    users = model_uses.users(home, source.preferred(os.environ))
    using = {run for one in models for snapshot in one.snapshots for run in users.get(snapshot.folder, [])}
    if not using:
        return
    from tunesmith.daemon.api.view import TERMINAL_STATES
    from tunesmith.tui.cli.session import with_client

    living = sorted(
        view.id
        for view in with_client(lambda client: client.jobs())
        if view.id in using and view.state not in TERMINAL_STATES
    )
    if living:
        runs = ", ".join(str(run) for run in living)
        raise JobError(
            f"The model is used by run {runs}, which is not over",
            f"Wait for it, or `tunesmith jobs cancel {living[0]}`; --force removes the model all the same.",
            "model_in_use",
        )


def ask(models: Sequence[Chosen]) -> None:
    """Raises ModelError where nobody can answer, typer.Abort when the answer is no."""
    import typer

    from tunesmith.recipes.units import bytes_text

    if not sys.stdin.isatty():
        raise ModelError("Removing asks first, and nobody can answer here", "Add --yes.", "not_confirmed")
    freed = model_store.frees([snapshot for one in models for snapshot in one.snapshots])
    freed += sum(left.partial.there for one in models for left in one.incomplete)
    typer.confirm(
        f"Remove {', '.join(one.name for one in models)}? It frees {bytes_text(freed)}.", abort=True, err=True
    )


def remove(home: Home, models: Sequence[Chosen]) -> int:
    """Bytes that were freed. Raises OSError."""
    from tunesmith.daemon.api import models as api

    freed = api.remove(home, [snapshot for one in models for snapshot in one.snapshots])
    return freed + sum(model_store.forget(home, left) for one in models for left in one.incomplete)
