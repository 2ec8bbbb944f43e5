"""One source of rows prepared in the background: recognised, then examined chunk by chunk into a store."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import msgspec

from tunesmith.daemon.worker.data.cache import make_room, unfinished
from tunesmith.daemon.worker.data.store import Store
from tunesmith.recipes.data import shapes
from tunesmith.recipes.data.examine import Settings, loaded, stream
from tunesmith.recipes.data.files import reading
from tunesmith.recipes.data.files.sizes import most_rows
from tunesmith.recipes.data.files.sources import SourceFile, find
from tunesmith.recipes.data.parsing import recognition
from tunesmith.recipes.data.rows import FileNotice, RawRow, RejectedRow
from tunesmith.recipes.errors import DataError, TunesmithError
from tunesmith.recipes.spec import DataSpec, SourceSpec

ALL = 2**62  # more sequences than there are
FORMAT = 1  # of a store; raised when preparing gives something else than before
LOOK_ROWS = 200  # that say what the shape is
LOOK_EVERY_S = 0.2
READ_BYTES = 1 << 22


class Source:
    """The rows of one SourceSpec, called `name`. Call `start` once, then `wait` for what is needed.

    `most_rows` is at least the number of rows, None when only reading tells. `key` is of all that the sequences depend
    on, once it is started.
    """

    def __init__(self, name: str, spec: SourceSpec, data: DataSpec, method: str, max_length: int | None) -> None:
        """Looks at the first rows. Raises DataError when the files or their shape are not usable."""
        self.name = name
        self.weight = spec.weight
        self.files = find([spec.path])
        self.most_rows = most_rows(self.files)
        self.bytes = sum(Path(file.path).stat().st_size for file in self.files)
        self.shape, why = shape_of(self.name, self.files, data)
        refuse_other_methods(self.name, self.shape, why, method)
        if data.over_long == "split" and self.shape != "text":
            raise DataError(
                f"{self.name}: a conversation cannot be split over several sequences", "Set data.over_long to cut_left."
            )
        self.settings = Settings(
            shape=self.shape,
            mapping=data.map,
            trained=data.trained,
            max_length=max_length,
            over_long=data.over_long,
            keep_tokens=True,
        )
        self.store = Store(Path())
        self.error: TunesmithError | None = None
        self.cached = False
        self.key = ""
        self._enough = ALL
        self._going_on = threading.Event()
        # Reading the files takes their time beside the import of the engine.
        self._content = ThreadPoolExecutor(1).submit(content_digest, self.files)

    def start(self, model: Path, cache: Path, candidates: float, processes: int) -> None:
        """Take what an earlier run prepared of the same content for `model`, or begin to prepare it in `cache`.

        `candidates` is the share of the rows that may be held out; `processes` work beside this one. Raises DataError.
        """
        self.settings = msgspec.structs.replace(self.settings, model=str(model), candidates=candidates)
        self.key = self.key_with(loaded(str(model)).fingerprint)
        folder = cache / self.key
        make_room(cache)
        if found := Store.open(folder):
            folder.touch()
            self.store, self.cached = found, True
            return
        self.store = Store(unfinished(folder))
        threading.Thread(
            target=self._prepare, args=(folder, processes), name=f"prepare {self.name}", daemon=True
        ).start()

    def key_with(self, fingerprint: str) -> str:
        """Of everything that the prepared sequences depend on: content, tokenizer and template, settings."""
        settings = msgspec.structs.replace(self.settings, model=fingerprint)
        try:
            content = self._content.result()
        except OSError as error:
            raise DataError(f"Cannot read {self.name}: {error}", "See whether the disk is well, run again.") from error
        return hashlib.blake2b(msgspec.json.encode((FORMAT, settings)) + content, digest_size=16).hexdigest()

    def wait(self, wanted: int, look: Callable[[], None] = lambda: None) -> None:
        """Until `wanted` sequences are there or no more come; calls `look` meanwhile. Raises what stopped it."""
        if wanted > self._enough:
            self.go_on()
        while not self.store.wait(wanted, LOOK_EVERY_S):
            self.raise_error()
            look()

    def pause(self, enough: int) -> None:
        """Stop once `enough` sequences are there, until more are waited for or `go_on`: others need the processor."""
        self._enough = enough

    def go_on(self) -> None:
        self._enough = ALL
        self._going_on.set()

    def raise_error(self) -> None:
        """Raises what stopped the preparing, if something did."""
        if self.error is not None:
            raise self.error

    def _prepare(self, folder: Path, processes: int) -> None:
        store = self.store
        try:
            for examined in stream(self.files, self.settings, processes):
                if self.settings.over_long == "error" and examined.cut:
                    refused = next((row for row in examined.rejected if row.code == "over_long"), None)
                    raise DataError(
                        f"{refused}", "Raise training.max_length, or set data.over_long to drop, cut_left or cut_right."
                    )
                store.append(examined)
                if store.available >= self._enough:
                    self._going_on.wait()
            store.finish(folder)
        except TunesmithError as error:
            self.error = error
        except OSError as error:
            self.error = DataError(
                f"Preparing {self.name} stopped: {error}", "See whether the disk is full or the file went away."
            )
        finally:
            store.wake()
        if self.error is not None:
            shutil.rmtree(store.folder, ignore_errors=True)


def content_digest(files: list[SourceFile]) -> bytes:
    """Of what is in the files, wherever they lie. Raises OSError."""
    digest = hashlib.blake2b(digest_size=32)
    for file in files:
        digest.update(f"{file.format} {os.path.getsize(file.path)} ".encode())
        with open(file.path, "rb") as content:
            while block := content.read(READ_BYTES):
                digest.update(block)
    return digest.digest()


def shape_of(name: str, files: list[SourceFile], data: DataSpec) -> tuple[str, str]:
    """The shape's key and why. Raises DataError when no or several shapes fit, or no row can be read at all."""
    first = [row for row in islice(reading.rows(files), LOOK_ROWS) if not isinstance(row, FileNotice)]
    values = [row.value for row in first if isinstance(row, RawRow)]
    if not values:
        reasons = "; ".join(str(row) for row in first[:2] if isinstance(row, RejectedRow))
        hint = f"For example {reasons}." if reasons else "It is empty; give a file with rows."
        raise DataError(f"{name} has no usable row", hint)
    found = recognition.recognise(values, data.map, data.shape)
    return found.shape, found.why


def refuse_other_methods(path: str, shape: str, why: str, method: str) -> None:
    """Raises DataError when `method` does not train on rows of `shape`."""
    if method not in shapes.cards()[shape].methods:
        raise DataError(
            f"{path} has rows of the shape {shape} ({why}), which {method} does not train on",
            "Give conversations, questions with answers, or text; or say what the columns mean with data.map.",
        )
