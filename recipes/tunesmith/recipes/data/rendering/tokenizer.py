"""A model's tokenizer and chat template read from its folder, without torch or transformers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.data.rendering.byte_tokens import ByteTokens
from tunesmith.recipes.data.rendering.chat_template import ChatTemplate
from tunesmith.recipes.data.rendering.endings import Endings, probed
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import json_file

RENDERING = 1  # raised whenever the same row may come out as other tokens than before

Spans = Sequence[tuple[int, int]]


class Encoded(msgspec.Struct, frozen=True):
    """Tokens of a text: `ids` int32 and where they start and end in characters, int64, all of shape (tokens,)."""

    ids: Any
    starts: Any
    ends: Any


class Tokenizer:
    """Use `load`. `special` maps bos_token, eos_token, ... to their text; ids are None where there is no such token.

    `fingerprint` is equal only where every row becomes the same tokens; `endings` is None without a chat template.
    """

    def __init__(
        self, definition: bytes, special: Mapping[str, Any], template: ChatTemplate | None, fast: bool = True
    ) -> None:
        from tokenizers import Tokenizer as Reference

        try:
            self._reference = Reference.from_str(definition.decode())
        except Exception as error:
            if type(error) not in (Exception, UnicodeDecodeError):  # tokenizers raises the bare class
                raise
            raise ModelError(f"The tokenizer cannot be read: {error}", "Download the model again.") from error
        self._reference.no_truncation()
        self._reference.no_padding()
        self.special = dict(special)
        self.template = template
        self.bos_token, self.eos_token = self._text("bos_token"), self._text("eos_token")
        self.bos_id, self.eos_id = self._id(self.bos_token), self._id(self.eos_token)
        pad = self._id(self._text("pad_token"))
        self.pad_id = self.eos_id if pad is None else pad
        self.vocabulary_size: int = self._reference.get_vocab_size(with_added_tokens=True)
        # Text alone begins with this token where the tokenizer's own rules put one there.
        self.leading_id = self.bos_id if self._reference.encode("a").ids[:1] == [self.bos_id] else None
        # The rules that add tokens also trim spaces off the places of tokens, and a mask needs the true places.
        self._reference.post_processor = None
        added = self._reference.get_added_tokens_decoder()
        self.special_texts = frozenset(token.content for token in added.values() if token.special)
        self.added_texts = {token.content for token in added.values()}
        self.fast = ByteTokens.of(definition, self._reference) if fast else None
        self.endings: Endings | None = None
        if template is not None:
            marks = self.special_texts | {text for text in (self.eos_token,) if text}
            with bounds.loading("The chat template of the model"):
                self.endings = probed(template, marks, self.added_texts)
        self.fingerprint = self._fingerprint(definition)

    @classmethod
    def load(cls, folder: Path | str, fast: bool = True) -> Tokenizer:
        """From tokenizer.json, tokenizer_config.json and chat_template.jinja. Raises ModelError.

        `fast=False` leaves the quick encoder out; the tokens are the same.
        """
        folder = Path(folder)
        if not (folder / "tokenizer.json").is_file():
            raise ModelError(
                f"{folder} has no tokenizer.json",
                "Give the folder of a downloaded model; older models need to be saved once by transformers.",
            )
        settings = {**_object(folder / "special_tokens_map.json"), **_object(folder / "tokenizer_config.json")}
        special = {key: text for key, value in settings.items() if key.endswith("_token") and (text := _token(value))}
        source = _template(folder, settings)
        with bounds.loading(f"The chat template of {folder}"):
            template = None if source is None else ChatTemplate(source, special)
        return cls((folder / "tokenizer.json").read_bytes(), special, template, fast)

    def encode(self, text: str) -> Encoded:
        """Tokens of `text` and their places; no tokens are added around it. Raises UnicodeEncodeError."""
        import numpy as np

        text.encode()
        encoding = self._reference.encode(text, add_special_tokens=False)
        places = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        return Encoded(np.array(encoding.ids, dtype=np.int32), places[:, 0], places[:, 1])

    def encode_many(self, texts: Sequence[str], spans: Sequence[Spans]) -> list[tuple[Any, Any]]:
        """For each text its ids (int32) and whether each token belongs to its spans (bool); spans in characters.

        A token belongs to a span in which it starts: one that straddles the start never does, and the special token
        at a span's end does even where it swallows the spaces behind it. Raises UnicodeEncodeError.
        """
        if self.fast is None:
            return [self._masked(text, places) for text, places in zip(texts, spans, strict=True)]
        return [
            self._masked(text, places) if found is None else found
            for text, places, found in zip(texts, spans, self.fast.encode_many(texts, spans), strict=True)
        ]

    def _masked(self, text: str, spans: Spans) -> tuple[Any, Any]:
        import numpy as np

        encoded = self.encode(text)
        trained = np.zeros(len(encoded.ids), dtype=bool)
        for start, end in spans:
            trained |= (encoded.starts >= start) & (encoded.starts < end) & (encoded.ends > encoded.starts)
        return encoded.ids, trained

    def id_of(self, token: str) -> int | None:
        return self._id(token)

    def _text(self, name: str) -> str | None:
        value = self.special.get(name)
        return value if isinstance(value, str) and value else None

    def _id(self, token: str | None) -> int | None:
        found: int | None = None if token is None else self._reference.token_to_id(token)
        return found

    def _fingerprint(self, definition: bytes) -> str:
        whole = hashlib.sha256(definition)
        whole.update(json.dumps([RENDERING, self.special], sort_keys=True).encode())
        if self.template is not None:
            whole.update(self.template.source.encode())
            if "strftime_now" in self.template.reads:
                whole.update(self.template.now.date().isoformat().encode())
        return whole.hexdigest()


def _object(file: Path) -> dict[str, Any]:
    return json_file.read(file) if file.exists() else {}


def _token(value: Any) -> str | None:
    """A special token's text; older models write it as an object."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _template(folder: Path, settings: Mapping[str, Any]) -> str | None:
    """The file where there is one, else the settings; of several named templates the default one. Raises ModelError."""
    if (folder / "chat_template.jinja").is_file():
        try:
            return (folder / "chat_template.jinja").read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(f"{folder / 'chat_template.jinja'} is not UTF-8", "Download the model again.") from error
    given = settings.get("chat_template") or _object(folder / "chat_template.json").get("chat_template")
    if isinstance(given, list):
        given = {item.get("name"): item.get("template") for item in given if isinstance(item, dict)}
    if isinstance(given, dict):
        given = given.get("default")
    return given if isinstance(given, str) else None
