"""JSONL files that appear whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec

from tunesmith.recipes.errors import DataError


def line_of(value: Any) -> bytes:
    """`value` as one line of JSONL, its end included."""
    try:
        return msgspec.json.encode(value) + b"\n"
    except (UnicodeEncodeError, OverflowError):  # half of a surrogate pair, a number past 64 bits
        return json.dumps(msgspec.to_builtins(value)).encode("ascii") + b"\n"


class JsonlFile:
    """Write rows to `path` through a file beside it that takes its place when the block ends well.

    Nothing is made before the first row, unless `make_empty`. Raises DataError where it cannot be written.
    """

    def __init__(self, path: Path, hint: str, make_empty: bool = False) -> None:
        self.path, self.hint = path, hint
        self.part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self.stream: IO[bytes] | None = None
        self.make_empty = make_empty
        self.rows = 0

    def __enter__(self) -> JsonlFile:
        if self.make_empty:
            self.opened()
        return self

    def write(self, value: Any) -> None:
        stream = self.opened()
        try:
            stream.write(line_of(value))
        except OSError as error:
            raise self.unwritable(error) from error
        self.rows += 1

    def opened(self) -> IO[bytes]:
        if self.stream is None:
            try:
                self.stream = self.part.open("wb")
            except OSError as error:
                raise self.unwritable(error) from error
        return self.stream

    def finish(self) -> None:
        """Put the file in its place; a block that ends without it leaves nothing."""
        if self.stream is None:
            return
        try:
            self.stream.close()
            self.part.replace(self.path)
        except OSError as error:
            raise self.unwritable(error) from error
        self.stream = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.stream is not None:
            self.stream.close()
            self.part.unlink(missing_ok=True)

    def unwritable(self, error: OSError) -> DataError:
        return DataError(f"Cannot write {self.path}: {error.strerror or error}", self.hint)
