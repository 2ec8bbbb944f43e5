"""The cache of models on this machine: what lies there, who uses it, and taking it away; for commands and screens."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunesmith.daemon.api import model_store, model_uses
from tunesmith.daemon.api.model_store import Incomplete, Snapshot
from tunesmith.recipes.errors import JobError, ModelError
from tunesmith.recipes.models import source
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


def users(home: Home, models: Sequence[Chosen]) -> set[int]:
    """Numbers of the runs that use one of them, over or not."""
    by_folder = model_uses.users(home, source.preferred(os.environ))
    return {run for one in models for snapshot in one.snapshots for run in by_folder.get(snapshot.folder, [])}


def refuse_living(runs: Iterable[int], hint: str) -> None:
    """Raises JobError where there are any: `runs` use the model and are not over. `hint` may say {run}, the first."""
    living = sorted(runs)
    if living:
        named = ", ".join(str(run) for run in living)
        raise JobError(
            f"The model is used by run {named}, which is not over", hint.format(run=living[0]), "model_in_use"
        )


def freed(models: Sequence[Chosen]) -> int:
    """Bytes that removing them gives back."""
    whole = model_store.frees([snapshot for one in models for snapshot in one.snapshots])
    return whole + sum(left.partial.there for one in models for left in one.incomplete)


def remove(home: Home, models: Sequence[Chosen]) -> int:
    """Bytes that were freed. Raises OSError."""
    from tunesmith.daemon.api import models as api

    freed = api.remove(home, [snapshot for one in models for snapshot in one.snapshots])
    return freed + sum(model_store.forget(home, left) for one in models for left in one.incomplete)
