"""One verified, resumable download of a public data set into a folder, whichever hub it comes from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from tunesmith.daemon.hubs import Hub, HubFile
from tunesmith.daemon.hubs.download import fetch_files, refuse_unsafe
from tunesmith.recipes.data.public_sets import Repository
from tunesmith.recipes.errors import DataError

RECORD = ".hub.json"  # hidden, so that reading the folder as data passes over it

# Data only: a repository's scripts are neither fetched nor run.
DATA_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"})
NAMED_SUFFIXES = DATA_SUFFIXES | {".txt", ".md"}  # text files are too often a README: only when asked for by name
PACKED_SUFFIXES = frozenset({".gz", ".zst"})
NOT_DATA = frozenset({"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "configuration.json"})


class Record(msgspec.Struct, frozen=True):
    """What lies in a folder and where it came from; written when all of it is there and verified."""

    hub: str
    repository: str
    revision: str
    files: tuple[HubFile, ...]


def download(hub: Hub, repository: Repository, folder: Path, progress: Callable[[int, int], None]) -> Record:
    """Fetch what `repository` wants into `folder`; `progress(bytes done, bytes in all)`.

    When the hub changes the set meanwhile, it is listed and fetched once more. Raises TunesmithError, OSError.
    """
    try:
        return fetched(hub, repository, folder, progress)
    except DataError as error:
        if error.code != "changed":
            raise
    return fetched(hub, repository, folder, progress)


def fetched(hub: Hub, repository: Repository, folder: Path, progress: Callable[[int, int], None]) -> Record:
    listing = hub.listing(repository.id, "dataset", "")
    files = chosen(listing.files, repository)
    if not files:
        raise DataError(
            f"{hub.title} lists no data files for {repository.id}",
            f"See {hub.page.format(id=repository.id)}; the files may have been renamed. Try the other hub with --hub.",
            "not_found",
        )
    fetch_files(hub, repository.id, "dataset", listing.revision, files, folder, progress)
    record = Record(hub.key, repository.id, listing.revision, tuple(files))
    write_record(folder, record)
    return record


def chosen(files: Sequence[HubFile], repository: Repository) -> list[HubFile]:
    """The data files that `repository` wants. Raises DataError when the hub lists a path that leaves the folder."""
    found = [file for file in files if is_data(file.path, bool(repository.files)) and repository.wants(file.path)]
    refuse_unsafe(repository.id, found)
    return sorted(found, key=lambda file: file.path)


def is_data(path: str, named: bool) -> bool:
    name = PurePosixPath(path)
    suffixes = [suffix.lower() for suffix in name.suffixes]
    if suffixes and suffixes[-1] in PACKED_SUFFIXES:
        suffixes.pop()
    known = NAMED_SUFFIXES if named else DATA_SUFFIXES
    hidden = any(part.startswith(".") and part != ".." for part in name.parts)
    return bool(suffixes) and suffixes[-1] in known and name.name not in NOT_DATA and not hidden


def write_record(folder: Path, record: Record) -> None:
    written = folder / f"{RECORD}.new"
    written.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    os.replace(written, folder / RECORD)
