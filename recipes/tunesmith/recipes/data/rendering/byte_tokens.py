"""The quick encoder for byte-level BPE: token places follow from token lengths, many texts at a time."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

Spans = Sequence[tuple[int, int]]

# Texts on which the quick encoder must agree with the reference before it is used at all.
TRIALS = (
    "Hello, world! It's 12345 o'clock, we'LL see.",
    "  leading\n\n\ttabs \r\n and trailing   ",
    "naïve café über straße İstanbul ſ",
    "日本語のテキスト、한국어、العربية, हिन्दी, ไทย",
    "😀👩‍👩‍👧 e\u0301 \u200b\ufeff\xa0\u3000 \x00\x1b",
    "def f(x):\n    return {'a': [1, 2.5e-3], \"b\": None}\n",
    "٠١٢ ①② ⅷ ½ x²",
    "<|im_start|><|im_end|> <s></s> <|",
)


CACHE_BYTES = 4 << 20  # of texts between special tokens that come again and again: system prompts, tools, role names


class ByteTokens:
    """Ids and masks by fastokens; None stands where a text has to go to the reference."""

    def __init__(self, encoder: Any, widths: Any, composed: bool) -> None:
        self._encoder = encoder
        self._widths = widths  # bytes of each token, int64, by id
        self._composed = composed  # the tokenizer composes characters (NFC) first

    @classmethod
    def of(cls, definition: bytes, reference: Any) -> ByteTokens | None:
        """None where fastokens is missing, the tokenizer is of another kind, or the two disagree on a trial."""
        try:
            from fastokens import Tokenizer as Quick
        except ImportError:
            return None
        settings = json.loads(definition)
        if not plain_bytes(settings):
            return None
        try:
            encoder = Quick.from_json_str(json.dumps({**settings, "post_processor": None, "truncation": None}))
        except (ValueError, RuntimeError, TypeError):
            return None
        encoder.enable_segment_cache(CACHE_BYTES)
        composed = settings.get("normalizer") is not None
        quick = cls(encoder, token_bytes(settings), composed)
        trials = [*TRIALS, *(f"a {token['content']} b" for token in settings.get("added_tokens", ())[:64])]
        for text in trials:
            found = quick.encode_many([text], [()])[0]
            expected = reference.encode(text, add_special_tokens=False).ids
            if found is not None and found[0].tolist() != expected:
                return None
        return quick

    def encode_many(self, texts: Sequence[str], spans: Sequence[Spans]) -> list[tuple[Any, Any] | None]:
        """For each text its ids and whether each token starts in one of its spans (characters)."""
        import numpy as np

        if not texts:
            return []
        flat, rows = self._encoder.encode_batch_flat(list(texts))
        ids = np.frombuffer(flat, dtype=np.uint32).astype(np.int32)
        bounds = np.frombuffer(rows, dtype=np.uint64).astype(np.int64)
        widths = self._widths[ids]
        ends = np.cumsum(widths)
        bases = np.concatenate(([0], ends))[bounds]  # bytes before each text
        covered = np.diff(bases).tolist()
        firsts: list[int] = []
        lasts: list[int] = []
        refused = set()
        for row, (text, places, base) in enumerate(zip(texts, spans, bases.tolist(), strict=False)):
            plain = text.isascii()
            size = len(text) if plain else len(text.encode())
            if size != covered[row] or (self._composed and not plain and not unicodedata.is_normalized("NFC", text)):
                refused.add(row)
                continue
            for start, end in places:
                firsts.append(base + (start if plain else len(text[:start].encode())))
                lasts.append(base + (end if plain else len(text[:end].encode())))
        changes = np.zeros(len(ids) + 1, dtype=np.int32)
        starts = ends - widths
        np.add.at(changes, np.searchsorted(starts, firsts), 1)
        np.add.at(changes, np.searchsorted(starts, lasts), -1)
        trained = np.cumsum(changes)[:-1] > 0
        cuts = bounds.tolist()
        return [
            None if row in refused else (ids[cuts[row] : cuts[row + 1]], trained[cuts[row] : cuts[row + 1]])
            for row in range(len(texts))
        ]


def plain_bytes(settings: Mapping[str, Any]) -> bool:
    """Whether every token stands for the bytes of a piece of the text, so that places follow from lengths."""
    model, decoder = settings.get("model") or {}, settings.get("decoder") or {}
    before = settings.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    by_bytes = [step for step in steps if step.get("type") == "ByteLevel"]
    return (
        model.get("type") == "BPE"
        and not model.get("byte_fallback")
        and not model.get("dropout")
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and decoder.get("type") == "ByteLevel"
        and len(by_bytes) == 1
        and not by_bytes[0].get("add_prefix_space")
        and (settings.get("normalizer") or {"type": "NFC"}).get("type") == "NFC"
    )


def token_bytes(settings: Mapping[str, Any]) -> Any:
    """Bytes of each token by id: a byte-level vocabulary writes each byte as one character."""
    import numpy as np

    vocabulary = settings["model"]["vocab"]
    added = settings.get("added_tokens") or []
    highest = max([*vocabulary.values(), *(token["id"] for token in added)])
    widths = np.zeros(highest + 1, dtype=np.int64)
    for token, place in vocabulary.items():
        widths[place] = len(token)
    for entry in added:
        widths[entry["id"]] = len(entry["content"].encode())
    return widths
