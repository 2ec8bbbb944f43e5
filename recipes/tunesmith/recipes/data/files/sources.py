"""Which files a person means by paths, folders and globs, and which format each of them has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path

import msgspec

from tunesmith.recipes.data.files import compression, encodings, formats
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.errors import DataError
from tunesmith.recipes.possible_path import possible

SNIFFED_BYTES = 256 * 1024
# Beside the data of a folder these describe it: data cards and what libraries note about a data set.
NO_DATA = frozenset(
    ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "configuration.json")
)


class SourceFile(msgspec.Struct, frozen=True):
    """`path` as a person gave it, `format` a key of formats, `compression` gzip, zstd or ""."""

    path: str
    format: str
    compression: str = ""


def find(paths: Sequence[str | Path]) -> list[SourceFile]:
    """The data files of files, folders and globs (`**` too), sorted within each of them, none twice.

    In folders only files with a known suffix count, hidden ones do not, and text files (.txt, .md) only when there is
    nothing else. Raises DataError when something is missing, is no data, or a link leads out of its folder.
    """
    found: dict[str, SourceFile] = {}
    for given in paths:
        if not possible(str(given)):
            raise DataError(f"No file can be called {str(given)[:80]!r}...", "Give another.", "data_missing")
        path = Path(given).expanduser()
        if path.is_dir():
            files = in_folder(path)
        elif has_magic(str(path)) and not os.path.lexists(path):
            files = matching(str(path))
        else:
            files = [path]
        for file in files:
            found.setdefault(os.path.realpath(file), source(file))
    return list(found.values())


def matching(pattern: str) -> list[Path]:
    """Raises DataError when no file matches."""
    files = sorted(path for path in map(Path, glob(pattern, recursive=True)) if path.is_file())
    if not files:
        raise DataError(f"No file matches {pattern}", "Put the pattern in quotation marks; ** goes into subfolders.")
    return files


def in_folder(folder: Path) -> list[Path]:
    """Raises DataError when the folder holds no data, cannot be read, or a link in it leads out of it."""

    def refuse(error: OSError) -> None:
        raise DataError(f"Cannot read the folder {error.filename}: {error.strerror}", "Change its permissions.")

    real = folder.resolve()
    files: list[Path] = []
    for at, names, entries in os.walk(folder, onerror=refuse):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in [*names, *entries]:
            path = Path(at, name)
            if path.is_symlink() and not name.startswith("."):
                target = path.resolve()
                if not target.is_relative_to(real) or not target.exists():
                    raise DataError(f"{path} is a link to {target}, outside of {folder}", f"Give {target} itself.")
        files += [Path(at, name) for name in entries if not name.startswith(".") and name not in NO_DATA]
    known = sorted(path for path in files if format_by_name(path.name) and path.is_file())
    if data := [path for path in known if format_by_name(path.name) != "text"]:
        return data
    if not known:
        known_suffixes = f"Known are {', '.join(suffixes())}, also with .gz or .zst."
        raise DataError(f"No data file in {folder}", known_suffixes, "data_missing")
    return known


def suffixes() -> list[str]:
    return [suffix for card in formats.cards().values() for suffix in card.suffixes]


def format_by_name(name: str) -> str:
    """The key of the format that a file name tells; "" for none."""
    path = Path(name.lower())
    suffix = Path(path.stem).suffix if path.suffix in compression.SUFFIXES else path.suffix
    return next((key for key, card in formats.cards().items() if suffix in card.suffixes), "")


def source(path: Path) -> SourceFile:
    """Raises DataError when it is missing, no regular file, an archive, or of no known format."""
    if not path.exists():
        raise DataError(f"{path} does not exist", nearest_file(path), "data_missing")
    if not path.is_file():
        raise DataError(f"{path} is no regular file", "Write the rows to a file first.", "data_unreadable")
    try:
        with path.open("rb") as file:
            start = file.read(compression.PIECE_BYTES)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}", "Change its permissions.") from error
    by_name = format_by_name(path.name)
    archive = compression.archive_of(start)
    if path.name.lower().endswith(compression.ARCHIVE_SUFFIXES) or (archive and not by_name):
        raise DataError(f"{path} is {archive or 'an archive'}", "Unpack it and give the files or the folder.")
    packed = compression.compression_of(start)
    if by_name == "parquet" and packed:
        raise DataError(f"{path} is compressed as a whole", "Parquet is compressed inside already: unpack the file.")
    key = by_content(path, packed, by_name)
    if not key:
        raise DataError(f"{path} is of no known format", f"Rename it to one of {', '.join(suffixes())}.")
    return SourceFile(str(path), key, packed)


def by_content(path: Path, packed: str, by_name: str) -> str:
    """The format by name; .json and .jsonl are often taken for each other, and no known suffix tells nothing."""
    cards = formats.cards()
    candidates = ("json", "jsonl") if by_name in ("json", "jsonl") else ("parquet", "json", "jsonl", "csv")
    if by_name not in ("", "json", "jsonl"):
        return by_name
    head = b"".join(beginning(path, packed))
    if by_name and (not head.strip() or cards[by_name].sniff(head)):
        return by_name
    return next((key for key in candidates if cards[key].sniff(head)), by_name)


def beginning(path: Path, packed: str) -> Iterator[bytes]:
    """The first text of a file in UTF-8, as far as it can be read; what is wrong with it is told when it is read."""
    size = 0
    try:
        for piece in compression.pieces(path, packed):
            if not size:
                encoding = encodings.detect(piece)
            yield from encodings.as_utf8([piece], encoding if not size else msgspec.structs.replace(encoding, mark=0))
            size += len(piece)
            if size >= SNIFFED_BYTES:
                return
    except BadRow:
        return


def nearest_file(path: Path) -> str:
    """A hint: what is there instead."""
    import difflib

    folder = path.parent
    if not folder.is_dir():
        return f"There is no folder {folder} either."
    close = difflib.get_close_matches(path.name, os.listdir(folder), n=1)
    return f"Did you mean {folder / close[0]}?" if close else "Check the path; folders and globs are possible, too."
