"""Hubs that public data sets are fetched from, one file each; their client libraries load only when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec


class HubFile(msgspec.Struct, frozen=True):
    """A file as the hub lists it. `sha256` is that of its bytes, `git_sha1` that of the git blob; empty if unknown."""

    path: str
    bytes: int
    sha256: str = ""
    git_sha1: str = ""


class Listing(msgspec.Struct, frozen=True):
    """The files of a repository at `revision`: a commit where the hub tells it, so that later calls mean the same."""

    revision: str
    files: tuple[HubFile, ...]


class Hub(msgspec.Struct, frozen=True):
    """`page` is a set's address for people, with a place for its id.

    `listing(id)` says what there is. `fetch(id, revision, files, folder, received)` puts the files under `folder`,
    going on from what an interrupted call left there; `received(bytes)` is called from any thread and may be negative
    when bytes turn out to be useless. Both raise TunesmithError only.
    """

    key: str
    title: str
    page: str
    token_variable: str
    endpoint_variable: str
    listing: Callable[[str], Listing]
    fetch: Callable[[str, str, Sequence[HubFile], Path, Callable[[int], None]], None]


@cache
def cards() -> Mapping[str, Hub]:
    from tunesmith.daemon.hubs import huggingface, modelscope

    return {card.key: card for card in (modelscope.CARD, huggingface.CARD)}
