"""Well-known open models, one TOML file a family: facts only, nothing is fetched here.

Which id at ModelScope is which at Hugging Face: ms-swift, swift/model/models/*.py.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.errors import ModelError, nearest
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.models.reading import from_config

FOLDER = Path(__file__).parent
MODALITIES = ("text", "image", "video", "audio")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as its publisher describes it.

    `huggingface` and `modelscope` are its ids there, the second empty where none is known. `license` is an SPDX
    identifier or the license's own name; `gated` models want it accepted before they are fetched. `context` is in
    tokens. `parameters` is the published count, exact where the publisher's is. `gguf`: whether llama.cpp converts it.
    `architecture` is what its config.json says of sizes; a sliding_window of 0 stands for null, which TOML has not.
    `checked_by` "count" means that the sizes give the published count and no hub was asked, "hub" that
    `hubs.refresh_catalogue` compared both with the hub; `checked` is the day of that.
    """

    huggingface: str
    modelscope: str = ""
    license: str
    gated: bool
    kind: Literal["instruct", "base"]
    modalities: tuple[str, ...]
    context: int
    parameters: int
    gguf: Literal["yes", "no", "unknown"]
    source: str
    checked: datetime.date
    checked_by: Literal["count", "hub"]
    architecture: dict[str, Any]
    family: str = ""

    @property
    def key(self) -> str:
        """Its name without the publisher's, in small letters."""
        return self.huggingface.rpartition("/")[2].lower()

    @property
    def ids(self) -> Mapping[str, str]:
        """By key of the hub."""
        both = {"modelscope": self.modelscope, "huggingface": self.huggingface}
        return {hub: id for hub, id in both.items() if id}

    @property
    def facts(self) -> ModelFacts:
        return facts_of(self.key)


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    title: str
    models: tuple[Entry, ...]


@cache
def catalogue() -> tuple[Entry, ...]:
    """All models, family by family in the order of the files."""
    return load(FOLDER)


def load(folder: Path) -> tuple[Entry, ...]:
    """The models described in `folder`. Raises ValueError naming the file that is wrong."""
    found: dict[str, Entry] = {}
    for name, family in catalog.tables(folder, Family):
        for entry in family.models:
            if problem := wrong(entry, found):
                raise ValueError(f"{name}.toml: {entry.huggingface} {problem}")
            found[entry.key] = msgspec.structs.replace(entry, family=name)
    return tuple(found.values())


def wrong(entry: Entry, others: Mapping[str, Entry]) -> str:
    """What is wrong with an entry beside `others`; empty when nothing is."""
    if entry.key in others:
        return "is there twice"
    if unknown := [kind for kind in entry.modalities if kind not in MODALITIES]:
        return f"has the unknown modality '{unknown[0]}'. {nearest(unknown[0], MODALITIES)}"
    if any(id.count("/") != 1 for id in entry.ids.values()):
        return "has an id that is not owner/name"
    return ""


@cache
def named() -> Mapping[str, Entry]:
    """Entries by every name they answer to, in small letters."""
    names: dict[str, Entry] = {}
    for entry in catalogue():
        for name in (entry.key, *entry.ids.values()):
            names.setdefault(name.lower(), entry)
    return MappingProxyType(names)


def find(name: str) -> Entry:
    """The model of this key or id at either hub, in letters of any size. Raises ModelError with the nearest known."""
    try:
        return named()[name.strip().lower()]
    except KeyError:
        close = nearest(name.lower(), named())
        meant = f"{close} " if close.startswith("Did") else ""
        raise ModelError(
            f"There is no model called '{name}' in the catalogue",
            f"{meant}Any other model works too: give the path of its folder.",
            "unknown_model",
        ) from None


@cache
def facts_of(key: str) -> ModelFacts:
    entry = find(key)
    return from_config(entry.architecture, entry.huggingface)
