"""An exported folder that transformers loads only in the environment of the tool that made it: a process there."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from tunesmith.daemon.worker import apart
from tunesmith.daemon.worker.environments import Environment
from tunesmith.daemon.worker.reloaded import Ends, Folder
from tunesmith.recipes.errors import ModelError

HINT = "What it printed is in the log."


class Apart(Folder):
    """`work` is where logits are handed over: in a file, as they take a hundred megabytes."""

    def __init__(self, environment: Environment, folder: Path, work: Path) -> None:
        """Raises ModelError."""
        super().__init__(folder)
        self._folder = folder
        self._handed = work / "logits.npy"
        self._process = subprocess.Popen(
            environment.python(apart.__file__, str(folder)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=sys.stderr, text=True, encoding="utf-8", cwd=work,
        )  # fmt: skip

    def __enter__(self) -> Apart:
        """Raises ModelError when it cannot be loaded there."""
        try:
            first = self._reply()
            if "refused" in first:
                raise ModelError(f"The model in {self._folder} cannot be loaded: {first['refused']}", HINT)
            self._end: Ends = first["end"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what was not read any more
                pipe(stream).close()
        self._handed.unlink(missing_ok=True)

    def ends(self) -> Ends:
        return self._end

    def logits(self, ids: list[int]) -> Any:
        self._ask({"logits": ids, "into": str(self._handed)})
        return np.load(self._handed)

    def written(self, ids: list[int], max_tokens: int, end: Ends) -> list[int]:
        asked = {"answer": ids, "most": max_tokens, "pad": self.tokenizer.pad_token_id, "end": end}
        found: list[int] = self._ask(asked)["written"]
        return found

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raises ModelError when its process has ended."""
        with suppress(BrokenPipeError):  # its end says why
            pipe(self._process.stdin).write(json.dumps(request) + "\n")
            pipe(self._process.stdin).flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        line = pipe(self._process.stdout).readline()
        if not line:
            raise ModelError(f"What computes {self._folder.name} ended with {self._process.wait()}", HINT)
        reply: dict[str, Any] = json.loads(line)
        return reply


def pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None, "both are pipes"
    return stream
