"""`python -m tunesmith.daemon.hubs.refresh_catalogue`: compares the catalogue of models with what the hubs say.

Prints what differs; with --write it puts the hub's numbers into the TOML files, and today as the day they were checked.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon.hubs import catalogue_file, described
from tunesmith.daemon.hubs.__main__ import ENVIRONMENT
from tunesmith.daemon.hubs.described import Described
from tunesmith.recipes.errors import ModelError, TunesmithError, nearest
from tunesmith.recipes.models import catalogue, from_config
from tunesmith.recipes.models.catalogue import Entry

# What hubs call the licenses that anybody may use for anything; every other one counts as a license of its own.
OPEN = {"apache-2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0", "mit": "MIT", "mit license": "MIT"}
# A published count and the sizes may differ by this much: publishers round, and files hold more than the model.
TOLERANCE = 0.02


class Difference(msgspec.Struct, frozen=True):
    """`path` is where the value stands in the entry; one that cannot be `written` needs a person."""

    path: tuple[str, ...]
    ours: Any
    theirs: Any
    written: bool = True

    def __str__(self) -> str:
        note = "" if self.written else "  (look at it: not written)"
        return f"{'.'.join(self.path)}: {self.ours!r}, the hub says {self.theirs!r}{note}"


def main(arguments: list[str]) -> int:
    """0 when nothing differs or all of it was written, 1 when something does or a hub did not answer."""
    parser = argparse.ArgumentParser(prog="python -m tunesmith.daemon.hubs.refresh_catalogue", description=__doc__)
    parser.add_argument("--hub", default="huggingface", help="huggingface or modelscope")
    parser.add_argument("--only", default="", help="one model: its key or its id")
    parser.add_argument("--write", action="store_true", help="put the hub's numbers into the files")
    parser.add_argument("--folder", type=Path, default=catalogue.FOLDER, help="where the TOML files lie")
    given = parser.parse_args(arguments)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        if given.hub not in described.HUBS:
            raise ModelError(f"There is no hub '{given.hub}'", nearest(given.hub, described.HUBS), "unknown_hub")
        wanted = catalogue.find(given.only).key if given.only else ""
    except TunesmithError as error:
        print(f"{error.message}. {error.hint}", file=sys.stderr)
        return 1
    entries = [entry for entry in catalogue.load(given.folder) if not wanted or entry.key == wanted]
    return max([refresh(entry, given.hub, given.folder, given.write) for entry in entries], default=0)


def refresh(entry: Entry, hub: str, folder: Path, write: bool) -> int:
    if hub not in entry.ids:
        print(f"{entry.key}: not known at {hub}")
        return 0
    try:
        found = list(differences(entry, described.HUBS[hub](entry.ids[hub])))
        print(f"{entry.key}: {'nothing differs' if not found else ''}".rstrip())
        for difference in found:
            print(f"  {difference}")
        if write:
            write_back(entry, found, folder)
    except TunesmithError as error:
        print(f"{entry.key}: {error.message}. {error.hint}", file=sys.stderr)
        return 1
    return int(any(not (write and difference.written) for difference in found))


def differences(entry: Entry, hub: Described) -> Iterator[Difference]:
    """What the hub says otherwise. Raises ModelError when its config.json cannot be read."""
    yield from of_the_sizes(entry.architecture, hub.config, ("architecture",))
    facts = from_config(hub.config, entry.huggingface)
    if facts.context and facts.context != entry.context:
        yield Difference(("context",), entry.context, facts.context)
    if OPEN.get(hub.license.lower(), "") != (entry.license if entry.license in OPEN.values() else ""):
        yield Difference(("license",), entry.license, hub.license, written=False)
    if hub.gated != entry.gated:
        yield Difference(("gated",), entry.gated, hub.gated)
    if hub.parameters is not None and hub.parameters != entry.parameters:
        agrees = abs(hub.parameters / facts.derived_parameters - 1) <= TOLERANCE
        yield Difference(("parameters",), entry.parameters, hub.parameters, written=agrees)


def of_the_sizes(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Difference]:
    """Values that both have; a config.json leaves out what its class has by default, and null is our 0."""
    for key, value in ours.items():
        if key not in theirs:
            continue
        other = theirs[key]
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            yield from of_the_sizes(value, other, (*path, key))
        elif value != (0 if other is None else other):
            plain = type(other) in (bool, int, str) or (isinstance(other, list) and isinstance(value, list))
            yield Difference((*path, key), value, other, written=plain or other is None)


def write_back(entry: Entry, found: Sequence[Difference], folder: Path) -> None:
    """With the day, and that it was a hub which was asked; refused when the file would no longer be a catalogue."""
    file = folder / f"{entry.family}.toml"
    values: dict[tuple[str, ...], Any] = {
        difference.path: 0 if difference.theirs is None else difference.theirs
        for difference in found
        if difference.written
    }
    values |= {("checked",): datetime.date.today(), ("checked_by",): "hub"}
    text = catalogue_file.changed(file.read_text("utf-8"), entry.huggingface, values)
    try:
        msgspec.toml.decode(text, type=catalogue.Family)
    except msgspec.DecodeError as error:
        raise ModelError(f"What the hub says does not fit {file.name}: {error}", "Change it by hand.", "hub") from error
    file.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
