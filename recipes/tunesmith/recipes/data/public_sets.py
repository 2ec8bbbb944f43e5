"""Well-known public data sets, one TOML file each in `public/`: facts only, nothing is fetched here."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.errors import DataError, nearest

FOLDER = Path(__file__).parent / "public"

# What a set is good for; the one vocabulary, so that a filter means the same everywhere.
TOPICS = (
    "chat", "instructions", "reasoning", "math", "code", "tools", "medicine", "writing", "persona", "pre-training",
    "preference", "rewards", "classification", "retrieval",
)  # fmt: skip


class Repository(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a set lies at a hub. `files` are patterns of the training files' paths, in which `*` also matches `/`.

    Without `files` every data file of the repository belongs to the set.
    """

    id: str
    files: tuple[str, ...] = ()

    def wants(self, path: str) -> bool:
        return not self.files or any(fnmatch.fnmatchcase(path, pattern) for pattern in self.files)


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of a set in one language."""

    blurb: str
    good_for: str


class PublicSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rows` and `bytes` are those of the files that are fetched, rounded; None where the publisher does not say.

    `license` is an SPDX identifier or the publisher's own words, "not stated" without any. `shape` is a key of shapes,
    `mapping` column -> field of that shape. `languages` are ISO 639-1 codes. `source` is where the facts come from.
    """

    key: str
    title: str
    blurb: str
    good_for: str
    shape: str
    topics: tuple[str, ...]
    languages: tuple[str, ...]
    license: str
    source: str
    rows: int | None = None
    bytes: int | None = None
    mapping: dict[str, str] = {}
    note: str = ""
    zh: Words | None = None
    modelscope: Repository | None = None
    huggingface: Repository | None = None

    def words(self, language: str) -> Words:
        """In `language` where the file has it, else in English."""
        return self.zh if language == "zh" and self.zh is not None else Words(self.blurb, self.good_for)

    @property
    def repositories(self) -> Mapping[str, Repository]:
        """By key of the hub, the preferred one first."""
        both = {"modelscope": self.modelscope, "huggingface": self.huggingface}
        return {hub: repository for hub, repository in both.items() if repository is not None}


@cache
def sets() -> Mapping[str, PublicSet]:
    """All sets by key, in the order of their titles."""
    return load(FOLDER)


def load(folder: Path) -> Mapping[str, PublicSet]:
    """The sets described in `folder`. Raises ValueError naming the file that is wrong."""
    found: dict[str, PublicSet] = {}
    for name, public_set in catalog.tables(folder, PublicSet):
        if problem := wrong(public_set, name):
            raise ValueError(f"{name}.toml: {problem}")
        found[public_set.key] = public_set
    return MappingProxyType(dict(sorted(found.items(), key=lambda item: item[1].title.casefold())))


def wrong(public_set: PublicSet, stem: str) -> str:
    """What is wrong with a set read from the file `stem`.toml; empty when nothing is.

    The key is the file's name, so two files cannot share one.
    """
    if public_set.key != stem:
        return f"its key is '{public_set.key}', not the name of the file"
    if unknown := [topic for topic in public_set.topics if topic not in TOPICS]:
        return f"unknown topic '{unknown[0]}'. {nearest(unknown[0], TOPICS)}"
    if not public_set.repositories:
        return "it lies at no hub"
    if not (public_set.topics and public_set.languages):
        return "topics and languages must not be empty"
    return ""


def find(key: str) -> PublicSet:
    """The set of this key. Raises DataError with the nearest known one."""
    try:
        return sets()[key]
    except KeyError:
        close = nearest(key, sets())
        raise DataError(
            f"There is no public data set called '{key}' in the catalogue",
            f"{close if close.startswith('Did') else ''} `tunesmith data list` shows them all.".strip(),
            "unknown_set",
        ) from None


def matching(shapes: Iterable[str] = (), languages: Iterable[str] = (), topics: Iterable[str] = ()) -> list[PublicSet]:
    """The sets that have one of each kind that is asked for; nothing asked for means all."""
    asked = (set(shapes), set(languages), set(topics))
    return [
        public_set
        for public_set in sets().values()
        if all(
            not wanted or wanted & set(given)
            for wanted, given in zip(asked, ((public_set.shape,), public_set.languages, public_set.topics), strict=True)
        )
    ]
