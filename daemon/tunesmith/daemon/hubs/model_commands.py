"""What `python -m tunesmith.daemon.hubs` does about models: pull, describe, search, verify, import."""

from __future__ import annotations

import hashlib
import os
import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api import model_facts, model_store, models, offline
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.hubs import adopt, pull
from tunesmith.recipes.errors import MachineError, ModelError
from tunesmith.recipes.models import source
from tunesmith.recipes.models.needed import needed
from tunesmith.recipes.models.source import Named, Repository


def add(commands: Any) -> None:
    """Their parsers, each with the function that does it as `act`."""

    def command(name: str, act: Any, help: str) -> Any:
        parser = commands.add_parser(name, help=help)
        parser.set_defaults(act=act)
        return parser

    for parser in (
        one := command("pull", pulled, "fetch a model into the cache"),
        command("describe", described, "what a hub says of a model"),
    ):
        parser.add_argument("source", help="owner/name, hub:owner/name@revision, or a key of the catalogue")
        parser.add_argument("--revision", default="", help="branch, tag or commit; the main branch by default")
    one.add_argument("--if-missing", action="store_true", help="take what is in the cache as it is")
    command("search", searched, "find models").add_argument("text")
    commands.choices["search"].add_argument("--limit", type=int, default=20)
    command("verify", verified, "hash what is in the cache").add_argument("names", nargs="*")
    imported = command("import", adopted, "take a model folder into the cache")
    imported.add_argument("folder", type=Path)
    imported.add_argument("--name", default="")
    for name in ("pull", "describe", "search"):
        commands.choices[name].add_argument("--hub", default="", help="modelscope or huggingface")


def asked(given: Namespace) -> tuple[Named | Repository, str]:
    """The model that is meant, and the hub that is asked first. Raises RecipeError, ModelError."""
    found = source.parse(given.source)
    if not isinstance(found, Named | Repository):
        raise ModelError(
            f"'{given.source[:200]}' is no model of a hub", f"Give owner/name. {source.FORMS}", "unknown_model"
        )
    if given.revision:
        if not source.is_revision(given.revision):
            raise ModelError(
                f"'{given.revision[:100]}' is no revision", "Give a branch, tag or commit.", "unknown_model"
            )
        found = msgspec.structs.replace(found, revision=given.revision)
    first = source.checked_hub(given.hub, "--hub") if given.hub else source.preferred(os.environ)
    if given.hub and isinstance(found, Repository) and not found.hub:
        ids = dict(source.candidates(found, first))
        found = msgspec.structs.replace(found, hub=given.hub, id=ids.get(given.hub, found.id))
    return found, first


def pulled(given: Namespace, home: Home, teller: pull.Teller) -> models.Pulled:
    found, first = asked(given)
    arrived = pull.pull(
        home, found, first, teller, no_network=offline.is_offline(os.environ), refresh=not given.if_missing
    )
    return models.Pulled(arrived.snapshot.kept, str(arrived.snapshot.folder), arrived.fetched)


def described(given: Namespace, home: Home, teller: pull.Teller) -> models.Described:
    from tunesmith.daemon.hubs.about import about

    found, first = asked(given)
    refuse_offline(f"What the hub says of {found} cannot be asked", "`tunesmith models list` shows what is here.")
    hub, id, listing = pull.listed(source.candidates(found, first), found.revision)
    said = about(hub.key, id)
    unusable = None
    wanted: frozenset[str] = frozenset()
    try:
        wanted = frozenset(needed((file.path for file in listing.files), f"{hub.key}:{id}"))
    except ModelError as error:
        unusable = error.body()
    files = tuple(models.ListedFile(file.path, file.bytes, file.path in wanted) for file in listing.files)
    said = msgspec.structs.replace(said, revision=listing.revision, files=files, unusable=unusable)
    if not found.revision:
        model_facts.keep(home, said)
    return said


def searched(given: Namespace, home: Home, teller: pull.Teller) -> models.Found:
    from tunesmith.daemon.hubs.about import SEARCH

    refuse_offline("Hubs cannot be searched", "`tunesmith models list` shows what is here.")
    hub = source.checked_hub(given.hub, "--hub") if given.hub else source.preferred(os.environ)
    return models.Found(tuple(SEARCH[hub](given.text, max(1, min(given.limit, 100)))))


def refuse_offline(what: str, way_out: str) -> None:
    """Raises MachineError."""
    if offline.is_offline(os.environ):
        raise offline.refusal(what, way_out)


def verified(given: Namespace, home: Home, teller: pull.Teller) -> models.Verified:
    """Raises ModelError for a name that nothing in the cache has."""
    chosen = [snapshot for name in given.names for snapshot in found_as(home, name)]
    chosen = chosen if given.names else model_store.snapshots(home)
    total, done = sum(snapshot.kept.bytes for snapshot in chosen), 0
    checked = []
    for snapshot in chosen:
        damaged = []
        for name, problem in damages(snapshot):
            if problem:
                damaged.append(problem)
            done += (snapshot.folder / name).stat().st_size if not problem else 0
            teller.checking(min(done, total), total)
        checked.append(
            models.Checked(
                snapshot.kept.source, str(snapshot.folder), tuple(damaged), mend(snapshot) if damaged else ""
            )
        )
    return models.Verified(tuple(checked))


def damages(snapshot: model_store.Snapshot) -> Iterator[tuple[str, str]]:
    """Each file's name with what is wrong with it, "" when nothing is."""
    try:
        recorded = publish.read_manifest(snapshot.folder).files
    except MachineError as error:
        yield model_store.MANIFEST, error.message
        return
    for name, published in recorded.items():
        path = snapshot.folder / name
        problem = ""
        if not re.fullmatch(r"[\w.+-]+", name) or not path.is_file():
            problem = f"{name} is not there"
        elif path.stat().st_size != published.bytes:
            problem = f"{name} has {path.stat().st_size} bytes instead of {published.bytes}"
        else:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != published.sha256:
                    problem = f"{name} is damaged: its SHA-256 is not the recorded one"
        yield name, problem
    for path in sorted(snapshot.folder.iterdir()):
        if path.name != model_store.MANIFEST and path.name not in recorded:
            yield path.name, f"{path.name} does not belong to the model"


def mend(snapshot: model_store.Snapshot) -> str:
    kept = snapshot.kept
    if kept.hub == source.LOCAL:
        return f"tunesmith models import {kept.origin} --name {kept.repository}"
    return f"tunesmith models pull {kept.name if kept.branch != kept.revision else kept.source}"


def found_as(home: Home, name: str) -> list[model_store.Snapshot]:
    """Raises ModelError."""
    found = model_store.matching(home, name)
    if not found:
        raise ModelError(
            f"No model in the cache is called '{name[:200]}'", "`tunesmith models list` shows them.", "model_missing"
        )
    return found


def adopted(given: Namespace, home: Home, teller: pull.Teller) -> models.Pulled:
    snapshot = adopt.adopt(home, given.folder.expanduser(), given.name, teller)
    return models.Pulled(snapshot.kept, str(snapshot.folder))
