"""How every folder of cards and of tables is found: a module ends in one constant, `CARD`; a table is a TOML file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

import msgspec


class Keyed(Protocol):
    @property
    def key(self) -> str: ...


Card = TypeVar("Card", bound=Keyed)
Table = TypeVar("Table")


def load(package: str, kind: type[Card]) -> Mapping[str, Card]:
    """Cards of `package` by key, in file-name order; a folder in it is no card.

    Raises TypeError when a module has no CARD of `kind`, ValueError when two share a key; both name the module.
    """
    cards: dict[str, Card] = {}
    for info in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda info: info.name):
        if info.ispkg:
            continue
        module = importlib.import_module(f"{package}.{info.name}")
        card = vars(module).get("CARD")
        if not isinstance(card, kind):
            raise TypeError(f"{module.__name__} must end in CARD, a {kind.__name__}")
        if card.key in cards:
            raise ValueError(f"{module.__name__} uses the key '{card.key}' of another file")
        cards[card.key] = card
    return MappingProxyType(cards)


def tables(folder: Path, kind: type[Table]) -> Iterator[tuple[str, Table]]:
    """Each TOML file of `folder` in the order of their names: the name without its ending, and what it says.

    Raises ValueError naming the file that is no `kind`.
    """
    for path in sorted(folder.glob("*.toml")):
        try:
            yield path.stem, msgspec.toml.decode(path.read_bytes(), type=kind)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path.name}: {error}") from error
