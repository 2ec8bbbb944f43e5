"""What the hubs' own client libraries have fetched on this machine: whole models, and single files by their digest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec


class Cached(msgspec.Struct, frozen=True):
    """A revision of a model in a library's cache. `digested`: its files are named by their digests."""

    hub: str
    id: str
    revision: str
    folder: Path
    digested: bool


def huggingface_root(environment: Mapping[str, str]) -> Path:
    home = environment.get("HF_HOME") or "~/.cache/huggingface"
    return Path(environment.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def modelscope_root(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("MODELSCOPE_CACHE") or "~/.cache/modelscope").expanduser()


def models(hub: str, id: str) -> list[Cached]:
    """Revisions of the model `id` of `hub`, those of its main branch first."""
    owner, _, name = id.partition("/")
    if hub == "huggingface":
        folder = huggingface_root(os.environ) / f"models--{owner}--{name}"
        main = text_of(folder / "refs" / "main")
        found = [Cached(hub, id, path.name, path, True) for path in folders(folder / "snapshots")]
        return sorted(found, key=lambda one: one.revision != main)
    root = modelscope_root(os.environ)
    older = name.replace(".", "___")  # how it wrote a dot
    newer = [
        Cached(hub, id, path.name, path, False) for path in folders(root / "models" / f"{owner}--{name}" / "snapshots")
    ]
    flat = [root / "models" / owner / older, root / "hub" / "models" / owner / older]
    return [*newer, *(Cached(hub, id, "", path, False) for path in flat if path.is_dir())]


def branch(id: str, name: str) -> str:
    """The commit that Hugging Face's cache last saw a branch at; empty if it never did."""
    owner, _, repository = id.partition("/")
    return text_of(huggingface_root(os.environ) / f"models--{owner}--{repository}" / "refs" / (name or "main"))


def whole(hub: str, id: str) -> Path | None:
    """A folder with its config.json and weights."""
    folders = (cached.folder for cached in models(hub, id))
    return next((f for f in folders if (f / "config.json").is_file() and any(f.glob("*.safetensors"))), None)


def with_digest(digest: str) -> Iterator[Path]:
    """Files of any model that Hugging Face's library keeps under `digest` (SHA-256, or git's SHA-1 for small ones)."""
    for folder in folders(huggingface_root(os.environ)):
        path = folder / "blobs" / digest
        if path.is_file():
            yield path


def folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
