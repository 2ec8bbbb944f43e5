"""An independent account of a mask: string arithmetic, transformers' rendering, the slow tokenizer's places."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from chat_formats import Format, Message, Pieces
from tokenizers import Tokenizer as Plain
from tokenizers import decoders, models, normalizers, trainers


class Expected(msgspec.Struct, frozen=True):
    """`pieces` make up the whole text, each trained or not; `trained` is one flag a token."""

    text: str
    pieces: Pieces
    ids: list[int]
    trained: list[bool]


def write_model(format_: Format, tokenizer: dict[str, Any], folder: Path) -> Path:
    """A model's folder as far as its text goes: `tokenizer` with the format's special tokens, and the template."""
    tokenizer = copy.deepcopy(tokenizer)
    known = {token["content"] for token in tokenizer["added_tokens"]}
    after = max(*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])) + 1
    wanted = dict.fromkeys((*format_.special, format_.bos, format_.eos, *format_.end))
    new = [text for text in wanted if text not in known]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer["added_tokens"] += [{"id": after + place, "content": text, **plain} for place, text in enumerate(new)]
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(format_.template, encoding="utf-8")
    names = {"bos_token": format_.bos, "eos_token": {"content": format_.eos, "special": True}}
    (folder / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    return folder


def spaced_tokenizer() -> dict[str, Any]:
    """A small tokenizer of the other kind: spaces as a mark, and bytes for what it has not seen."""
    tokenizer = Plain(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        show_progress=False,
        special_tokens=["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))],
    )
    sentences = ["the weather in the town is fine, thank you", "user model think tool name"]
    tokenizer.train_from_iterator(sentences * 9, trainer)
    settings: dict[str, Any] = json.loads(tokenizer.to_str())
    settings["added_tokens"] = [token for token in settings["added_tokens"] if token["content"] == "<unk>"]
    return settings


def theirs(format_: Format, messages: Sequence[Message], tools: Any) -> str:
    """The text that transformers makes of `messages`."""
    from transformers.utils.chat_template_utils import render_jinja_template

    plain = [{key: value for key, value in message.items() if key != "loss"} for message in messages]
    texts = render_jinja_template(
        [plain], tools=tools, chat_template=format_.template, bos_token=format_.bos, eos_token=format_.eos
    )
    return str(texts[0][0])


def expected(format_: Format, messages: Sequence[Message], tools: Any, plain: Plain) -> Expected:
    """The mask of `messages` whose first user turn comes before any answer. Raises Refused."""
    first = next(index for index, message in enumerate(messages) if message["role"] == "user") + 1
    pieces = [(theirs(format_, messages[:first], tools), False), *format_.pieces(messages, first)]
    text = "".join(piece for piece, _ in pieces)
    flags = [flag for piece, flag in pieces for _ in piece]
    encoding = plain.encode(text, add_special_tokens=False)
    trained = [all(flags[start:end]) and end > start for start, end in encoding.offsets]
    return Expected(text, pieces, encoding.ids, trained)
