"""How every folder of cards is found: each module but `__init__` ends in one constant, `CARD`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, TypeVar


class Keyed(Protocol):
    @property
    def key(self) -> str: ...


Card = TypeVar("Card", bound=Keyed)


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
