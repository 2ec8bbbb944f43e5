"""The text side of a model folder: prompts as tokens, tokens as text, and where an answer ends; no engine is needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tunesmith.daemon.worker.engines import Picture, Seen
from tunesmith.recipes.data.rendering.tokenizer import Tokenizer
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import json_file

NOT_WHOLE = "\ufffd"  # what the bytes of a part of a character are decoded to
LONGEST_CHARACTER = 8  # tokens; one that is not whole by then never will be


class TextReader:
    """Tokens from `start` on are decoded together: some mean something behind others alone. `told` of them are said."""

    def __init__(self, reference: Any, special: bool) -> None:
        self._reference, self._special = reference, special
        self._ids: list[int] = []
        self._start = self._told = 0

    def read(self, token: int) -> str:
        self._ids.append(token)
        new = self._new()
        if new.endswith(NOT_WHOLE) and len(self._ids) - self._told < LONGEST_CHARACTER:
            return ""
        self._start, self._told = self._told, len(self._ids)
        return new

    def rest(self) -> str:
        return self._new()

    def _new(self) -> str:
        before = self._decoded(self._ids[self._start : self._told])
        return self._decoded(self._ids[self._start :])[len(before) :]

    def _decoded(self, ids: list[int]) -> str:
        return str(self._reference.decode(ids, skip_special_tokens=not self._special))


class FolderText:
    """`view` is the vetted view of the model's folder."""

    mark = ""

    def __init__(self, view: Path) -> None:
        from tokenizers import Tokenizer as Reference

        self._tokenizer = Tokenizer.load(view, fast=False)
        self._reference = Reference.from_file(str(view / "tokenizer.json"))
        self.template = self._tokenizer.template
        self.ends = self._end_tokens(view)

    def _end_tokens(self, view: Path) -> frozenset[int]:
        found: set[int] = set()
        for name in ("generation_config.json", "config.json"):
            if (view / name).is_file():
                ends = json_file.read(view / name).get("eos_token_id")
                found.update(id for id in (ends if isinstance(ends, list) else [ends]) if type(id) is int)
        if self._tokenizer.eos_id is not None:
            found.add(self._tokenizer.eos_id)
        return frozenset(found)

    def tokenize(self, text: str, alone: bool) -> list[int]:
        ids = [int(id) for id in self._tokenizer.encode(text).ids]
        leading = self._tokenizer.leading_id if alone else None
        return ids if leading is None else [leading, *ids]

    def reader(self, special: bool) -> TextReader:
        return TextReader(self._reference, special)

    def token_text(self, token: int) -> str:
        return str(self._reference.decode([token], skip_special_tokens=False))

    def ids_of(self, pieces: Iterable[str]) -> list[int | None]:
        """Of tokens as the vocabulary has them; None for one that is not in it."""
        return [self._reference.token_to_id(piece) for piece in pieces]

    def is_end(self, token: int) -> bool:
        return token in self.ends

    def see(self, text: str, pictures: Sequence[Picture]) -> Seen:
        raise ModelError("This engine sees no pictures", "Serve the model as a GGUF.", "media_unsupported")
