"""Tokenizers of the kinds that model families have, made small: files as the families' makers publish them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chat_formats import Format

PIECES = 500  # with a token for every byte among them


class Bytes(NamedTuple):
    """A byte-level BPE: `split` says where text is cut first; with `whole` a word that is a token needs no merges."""

    split: str
    whole: bool = False


def byte_level(folder: Path, format_: Format, made_so: Bytes) -> int:
    """The tokenizer of `format_` in the folder of a model; how many tokens."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from tunesmith.daemon.worker.compare import GENERAL_TEXT

    engine = Tokenizer(models.BPE(ignore_merges=made_so.whole))
    cut = pre_tokenizers.Split(Regex(made_so.split), "isolated")
    engine.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    engine.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    engine.train_from_iterator([GENERAL_TEXT], trainers.BpeTrainer(vocab_size=PIECES, initial_alphabet=alphabet))
    named = dict.fromkeys([format_.bos, format_.eos, *format_.special, *format_.end])
    engine.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in named])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=engine, bos_token=format_.bos, eos_token=format_.eos)
    tokenizer.chat_template = format_.template
    tokenizer.save_pretrained(str(folder))
    return len(tokenizer)


class Pieces(NamedTuple):
    """How a family lays out SentencePiece's tokens: the first ones by number, special ones `inside` the model, as
    Mistral has them, or `behind` it, as Phi-3, where those that are not in `bare` swallow the spaces after them.
    `prefix`: a space is put before a text. `kind` is transformers' class.
    """

    first: Mapping[str, str]
    begin: str
    end: str
    inside: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    prefix: bool = True
    kind: str = "LlamaTokenizer"

    @property
    def count(self) -> int:
        return PIECES + len(self.behind)


def sentence_pieces(folder: Path, template: str, made_so: Pieces) -> None:
    """`tokenizer.model` and what lies beside it in the folder of a model, as families publish it."""
    import sentencepiece

    from tunesmith.daemon.worker.compare import GENERAL_TEXT

    first = list(made_so.first)
    places = {f"{which}_id": first.index(which) if which in first else -1 for which in ("unk", "bos", "eos", "pad")}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(GENERAL_TEXT.splitlines()), model_writer=model, model_type="bpe", vocab_size=PIECES,
        byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=made_so.prefix, split_digits=True,
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, num_threads=1, minloglevel=2,
        control_symbols=list(made_so.inside), **places,
        **{f"{which}_piece": piece for which, piece in made_so.first.items()},
    )  # fmt: skip
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    behind = {token: PIECES + index for index, token in enumerate(made_so.behind)}
    special = [*made_so.first.values(), *made_so.inside]
    decoder = {
        str(number): {
            "content": token, "lstrip": False, "rstrip": token in behind and token not in made_so.bare,
            "normalized": False, "single_word": False, "special": True,
        }
        for token, number in [*((token, special.index(token)) for token in special), *behind.items()]
    }  # fmt: skip
    settings = {
        "tokenizer_class": made_so.kind, "add_bos_token": True, "add_eos_token": False, "legacy": False,
        "bos_token": made_so.begin, "eos_token": made_so.end, "unk_token": "<unk>", "added_tokens_decoder": decoder,
        "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(template)
    if behind:
        (folder / "added_tokens.json").write_text(json.dumps(behind))
    (folder / "tokenizer.json").write_text(json.dumps(fast(folder, made_so.prefix)))


def fast(folder: Path, prefix: bool) -> Any:
    """What families publish as `tokenizer.json` of SentencePiece's file; with a space before each piece of text."""
    from transformers import AutoTokenizer

    made = folder.with_name(f"{folder.name}-fast")
    AutoTokenizer.from_pretrained(str(folder)).save_pretrained(str(made))
    found = json.loads((made / "tokenizer.json").read_text())
    shutil.rmtree(made)
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    found["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, spaces]}
    if not prefix:
        found["normalizer"] = spaces
    return found
