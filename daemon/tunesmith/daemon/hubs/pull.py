"""Pulls a model into the shared cache: what is on this machine already is verified and used, the rest is fetched."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from tunesmith.daemon import crash_points, hubs
from tunesmith.daemon.api import library_caches, locks, model_store, offline
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.model_store import Kept, Partial, Snapshot
from tunesmith.daemon.hubs import Hub, HubFile, Listing, model_cache
from tunesmith.recipes.errors import ModelError, TunesmithError
from tunesmith.recipes.models import json_file, source
from tunesmith.recipes.models.needed import CONFIG, needed, refuse_unusable
from tunesmith.recipes.models.source import LOCAL, Named, Repository
from tunesmith.recipes.words import say

WITHOUT_COMMITS = frozenset({"modelscope"})  # its listing names none: digests over all files stand for them
RECORD_EVERY_S = 2.0
COMMIT = re.compile(r"[0-9a-f]{40}")


class Teller(Protocol):
    """Hears of bytes fetched and of bytes read to be verified, of all, and why nothing arrives yet; may raise."""

    def progress(self, done: int, total: int) -> None: ...
    def checking(self, done: int, total: int) -> None: ...
    def waiting(self, text: str) -> None: ...


class Ready(msgspec.Struct, frozen=True):
    """Where a file of the model lies with the right bytes; `fetched` now, so that it may be moved."""

    path: Path
    sha256: str
    fetched: bool = False


class Arrived(msgspec.Struct, frozen=True):
    """`fetched` are bytes that came over the network now."""

    snapshot: Snapshot
    fetched: int = 0


def pull(
    home: Home, asked: Named | Repository, first: str, teller: Teller, *, no_network: bool, refresh: bool
) -> Arrived:
    """The model in the cache, from the hubs' ids for it in turn, `first` first.

    Without `refresh` what lies in the cache is taken as it is. Raises TunesmithError, OSError.
    """
    candidates = source.candidates(asked, first)
    here = model_store.first(home, candidates, asked.revision)
    if here is not None and (no_network or not refresh or here.kept.hub == LOCAL):
        return Arrived(here)
    if candidates[0][0] == LOCAL:
        raise ModelError(
            f"No model was imported as {asked}", "`tunesmith models list` shows those that were.", "model_missing"
        )
    if no_network:
        return from_libraries(home, asked, candidates, teller)
    hub, id, listing = listed(candidates, asked.revision)
    return Pull(home, hub, id, asked.revision, listing, teller).run()


def listed(candidates: Sequence[tuple[str, str]], revision: str) -> tuple[Hub, str, Listing]:
    """The first hub that has it. Raises TunesmithError: a refusal goes before "it is not there"."""
    refused: list[TunesmithError] = []
    for key, id in candidates:
        hub = hubs.cards()[key]
        try:
            return hub, id, listing_of(hub, id, revision)
        except TunesmithError as error:
            if error.code not in ("not_found", "not_allowed"):
                raise
            refused.append(error)
    raise next((error for error in refused if error.code == "not_allowed"), refused[0])


def listing_of(hub: Hub, id: str, revision: str) -> Listing:
    """Raises TunesmithError. A hub that tells no commits is asked for what there is now, and that must be the same."""
    if hub.key not in WITHOUT_COMMITS or not COMMIT.fullmatch(revision):
        return hub.listing(id, "model", revision)
    listing = hub.listing(id, "model", "")
    names = frozenset(needed((file.path for file in listing.files), f"{hub.key}:{id}"))
    if model_cache.revision_of([file for file in listing.files if file.path in names]) != revision:
        raise ModelError(
            f"{hub.title} has another version of {id} now than {revision[:12]}",
            f"Use the newest: tunesmith models pull {hub.key}:{id}, and begin the run anew with `tunesmith run`.",
            "revision_gone",
        )
    return listing


def from_libraries(
    home: Home, asked: Named | Repository, candidates: Sequence[tuple[str, str]], teller: Teller
) -> Arrived:
    """What a library's own cache holds whole, with digests to verify it by. Raises MachineError."""
    way_out = ""
    for key, id in candidates:
        for cached in library_caches.models(key, id):
            if not cached.digested:
                way_out = (
                    f" {cached.folder} has it without digests: `tunesmith models import {cached.folder}` takes it."
                )
            elif (
                asked.revision in ("", cached.revision) or library_caches.branch(id, asked.revision) == cached.revision
            ):
                found = Listing(cached.revision, tuple(digested(cached.folder)))
                try:
                    return Pull(home, hubs.cards()[key], id, asked.revision, found, teller, no_network=True).run()
                except ModelError:
                    continue  # not all of it was fetched
    error = offline.lacks(str(asked), str(home.models))
    raise TunesmithError(error.message, error.hint + way_out, error.code)


def digested(folder: Path) -> Iterator[HubFile]:
    """The files of a snapshot whose links lead to blobs that are named by their digests."""
    for path in sorted(folder.iterdir()):
        name = path.resolve().name
        if path.is_symlink() and path.is_file() and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
            kind = {64: "sha256", 40: "git_sha1"}[len(name)]
            yield HubFile(path.name, path.stat().st_size, **{kind: name})


class Pull:
    """One model's, from what the hub lists."""

    def __init__(
        self, home: Home, hub: Hub, id: str, branch: str, listing: Listing, teller: Teller, *, no_network: bool = False
    ) -> None:
        self.home, self.hub, self.id, self.teller = home, hub, id, teller
        self.no_network = no_network
        self.title = f"{hub.key}:{id}"
        names = frozenset(needed((file.path for file in listing.files), self.title))
        self.files = sorted((file for file in listing.files if file.path in names), key=lambda file: file.path)
        revision = listing.revision if COMMIT.fullmatch(listing.revision) else model_cache.revision_of(self.files)
        self.listed_as = listing.revision
        self.kept = Kept(hub=hub.key, repository=id, revision=revision, branch=branch)
        self.final = model_store.of(home, "snapshots", hub.key, id) / revision
        self.staged = model_store.of(home, "partial", hub.key, id) / revision
        self.total = sum(file.bytes for file in self.files)
        self.ready: dict[str, Ready] = {}

    def run(self) -> Arrived:
        """Raises TunesmithError, OSError; what arrived is kept."""
        lock = model_store.lock_of(self.home, self.hub.key, self.id)
        with locks.locked(lock, self.wait):
            if self.is_whole():
                model_cache.point(self.home, self.kept)
                return Arrived(Snapshot(self.final, model_store.record(self.final / model_store.RECORD, self.hub.key)))
            self.look_for_what_is_here()
            self.fetch([file for file in self.missing() if not file.path.endswith(".safetensors")], "small")
            refuse_unusable(json_file.read(self.ready[CONFIG].path), self.title)  # before gigabytes are fetched
            self.fetch(self.missing(), "weights")
            snapshot = self.install()
            self.forget_partial()
        return Arrived(snapshot, sum(file.bytes for file in self.files if self.ready[file.path].fetched))

    def install(self) -> Snapshot:
        with model_cache.placing(self.home):
            for ready in self.ready.values():
                model_cache.take_in(self.home, ready.path, ready.sha256, move=ready.fetched)
            crash_points.reach("pull.before_install")
            return model_cache.install(self.home, self.kept, {name: one.sha256 for name, one in self.ready.items()})

    def wait(self, process: str) -> None:
        english = "another process ({process}) is fetching {title}; this one waits for it"
        self.teller.waiting(say("other_fetches", english, process=process or "?", title=self.title))

    def is_whole(self) -> bool:
        """Whether the snapshot is there and each of its bytes is what the hub lists."""
        if not (self.final / model_store.MANIFEST).is_file():
            return False
        read = self.reading(self.total)
        return all(model_cache.digest_if(self.final / file.path, file, read) for file in self.files)

    def reading(self, total: int) -> model_cache.Read:
        done = 0

        def read(count: int) -> None:
            nonlocal done
            done += count
            self.teller.checking(min(done, total), total)

        return read

    def missing(self) -> list[HubFile]:
        return [file for file in self.files if file.path not in self.ready]

    def look_for_what_is_here(self) -> None:
        """In the cache, and in the libraries' own caches; each file only when its digest is right."""
        there = [(file, [path for path in self.places(file) if path.is_file()]) for file in self.files]
        read = self.reading(sum(file.bytes for file, paths in there if paths))
        for file, paths in there:
            for path in paths:
                if sha256 := model_cache.digest_if(path, file, read):
                    self.ready[file.path] = Ready(path, sha256)
                    break

    def places(self, file: HubFile) -> Iterator[Path]:
        if file.sha256:
            yield model_store.blob(self.home, file.sha256)
        yield self.final / file.path
        if digest := file.sha256 or file.git_sha1:
            yield from library_caches.with_digest(digest)
        for cached in library_caches.models(self.hub.key, self.id):
            yield cached.folder / file.path

    def fetch(self, files: Sequence[HubFile], part: str) -> None:
        """Into a folder a `part`: where all is whole the download takes away what it kept of its own."""
        if not files:
            return
        if self.no_network:
            raise ModelError(f"{self.title} lacks {files[0].path}", "Pull it online.", "model_missing")
        from tunesmith.daemon.hubs import download

        folder = self.staged / part
        folder.mkdir(parents=True, exist_ok=True)
        before = sum(file.bytes for file in self.files if file.path in self.ready)
        there, recorded_at = before, -RECORD_EVERY_S

        def progress(done: int, total: int) -> None:
            nonlocal there, recorded_at
            there = min(before + done, self.total)
            if time.monotonic() - recorded_at >= RECORD_EVERY_S:
                recorded_at = time.monotonic()
                self.record(there)
            self.teller.progress(there, self.total)

        try:
            download.fetch_files(self.hub, self.id, "model", self.listed_as, files, folder, progress)
        finally:
            self.record(there)
        for file in files:
            path = folder / file.path
            sha256 = file.sha256 or model_cache.digest_if(path, file, lambda count: None)
            self.ready[file.path] = Ready(path, sha256, fetched=True)

    def record(self, there: int) -> None:
        """For those who list what is not complete: how much of it is on this machine."""
        partial = Partial(
            hub=self.hub.key, repository=self.id, revision=self.kept.revision, branch=self.kept.branch,
            bytes=self.total, there=there,
        )  # fmt: skip
        model_store.write_part(self.staged.with_name(f"{self.staged.name}.json"), msgspec.json.encode(partial))

    def forget_partial(self) -> None:
        """Of this revision, and of older ones of the branch, which nobody will go on with."""
        for path in self.staged.parent.glob("*.json"):
            said = json.loads(path.read_bytes())
            if path.stem == self.staged.name or said.get("branch") == self.kept.branch:
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink()
        model_store.without_empty(self.staged.parent, self.home.models / "partial")
