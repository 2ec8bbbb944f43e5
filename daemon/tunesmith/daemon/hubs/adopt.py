"""Adopts what a person has: a model folder under a name in the shared cache, its files checked and hashed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.model_store import Kept, Snapshot
from tunesmith.daemon.hubs import HubFile, model_cache
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import headers, safetensors
from tunesmith.recipes.models.needed import needed, refuse_unusable
from tunesmith.recipes.models.source import LOCAL, is_name


class Checking(Protocol):
    def checking(self, done: int, total: int) -> None: ...


def adopt(
    home: Home, folder: Path, name: str, teller: Checking, *, origin: str = "", unpacked: bool = False
) -> Snapshot:
    """The model in `folder` as `local:name`: large files as hard links where the disk allows it, the rest copied.

    Raises ModelError, OSError.
    """
    name = checked_name(name or default_name(folder))
    if not folder.is_dir():
        raise ModelError(
            f"There is no folder {folder}", "Give the folder of a model, or a .gguf file.", "model_missing"
        )
    names = needed((path.name for path in folder.iterdir() if path.is_file()), str(folder))
    refuse_unusable(headers.config_of(folder), str(folder))
    files = []
    for path in names:
        if path.endswith(".safetensors"):
            safetensors.read(folder / path)  # damaged ones are refused here
        files.append(HubFile(path, (folder / path).stat().st_size))
    total, done = sum(file.bytes for file in files), 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        teller.checking(min(done, total), total)

    digest_of = {}
    with model_cache.placing(home):
        for file in files:
            _, sha256, _ = model_cache.digests(folder / file.path, read)
            model_cache.take_in(home, folder / file.path, sha256)
            digest_of[file.path] = sha256
        listed = [HubFile(file.path, file.bytes, digest_of[file.path]) for file in files]
        revision, origin = model_cache.revision_of(listed), origin or str(folder.resolve())
        kept = Kept(hub=LOCAL, repository=name, revision=revision, origin=origin, unpacked=unpacked)
        return model_cache.install(home, kept, digest_of)


def checked_name(name: str) -> str:
    """Raises ModelError."""
    if not is_name(name):
        raise ModelError(
            f"'{name[:100]}' cannot be the name of a model", "Give --name with letters, digits, - _ and ., no slash.",
            "model_name",
        )  # fmt: skip
    return name


def default_name(path: Path) -> str:
    """Of a folder or a file: its own, with what a name cannot have left out."""
    stem = path.resolve().name.removesuffix(".gguf")
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in stem
    ).strip("-.")
