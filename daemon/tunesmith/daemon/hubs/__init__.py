"""Hubs that models and data sets are fetched from, one file each; their client libraries load only when they are used.

The libraries list files, know tokens and build addresses; the bytes are fetched by `download`, the same for every hub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal

import msgspec

Kind = Literal["model", "dataset"]


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
    """`page` is a repository's address for people, with a place for its id: that of a data set, see `of_kind`.

    `listing(id, kind, revision)` says what there is, at the hub's main branch when the revision is empty.
    `address(id, kind, revision, path)` is where a file's bytes are asked for, with `headers()`: these hold the person's
    login and are for the host of that address alone. All raise TunesmithError only.
    """

    key: str
    title: str
    page: str
    model_page: str
    token_variable: str
    endpoint_variable: str
    listing: Callable[[str, Kind, str], Listing]
    address: Callable[[str, Kind, str, str], str]
    headers: Callable[[], Mapping[str, str]]


def of_kind(hub: Hub, kind: Kind) -> Hub:
    """The hub as errors name it: its `page` is that of models for a model."""
    return msgspec.structs.replace(hub, page=hub.model_page) if kind == "model" else hub


@cache
def cards() -> Mapping[str, Hub]:
    from tunesmith.daemon.hubs import huggingface, modelscope

    return {card.key: card for card in (modelscope.CARD, huggingface.CARD)}
