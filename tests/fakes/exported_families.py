"""Families of models as their makers publish them, made small: configuration, tokenizer and chat template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import families
from chat_formats import FORMATS
from families import EXPERTS, HEADS, SIZES, config
from tiny_tokenizers import Bytes, Pieces, byte_level, sentence_pieces

TEMPLATES = {found.name: found for found in FORMATS}
LLAMA_PIECES = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
GEMMA_PIECES = {"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>"}
PHI3_TOKENS = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
PHI3_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] }}"
    "{{ '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
TIED = {"tie_word_embeddings": True}
QWEN_EXPERTS = {"num_experts": 4, "moe_intermediate_size": 32, "norm_topk_prob": True}
SIX = {"num_hidden_layers": 6, "sliding_window": 9}  # one sees all after five that look back a little
MISTRAL = Pieces(LLAMA_PIECES, "<s>", "</s>", inside=TEMPLATES["mistral"].special[2:])
PHI3 = Pieces(LLAMA_PIECES, "<s>", "<|endoftext|>", behind=PHI3_TOKENS, bare=("<|endoftext|>",))
GEMMA = Pieces(
    GEMMA_PIECES, "<bos>", "<eos>", inside=("<mask>", "<start_of_turn>", "<end_of_turn>"), prefix=False,
    kind="GemmaTokenizer",
)  # fmt: skip


WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = Bytes(WORDS % "")
LLAMA3 = Bytes(WORDS % "{1,3}", whole=True)


class Published(NamedTuple):
    name: str
    kind: str
    values: Mapping[str, Any]
    template: str
    tokens: Pieces | Bytes


PUBLISHED = (
    Published("llama", "LlamaConfig", SIZES | {"rope_parameters": LLAMA3_ROPE}, "llama3.2", LLAMA3),
    Published("qwen2", "Qwen2Config", SIZES | TIED, "qwen2.5", QWEN),
    Published("qwen3", "Qwen3Config", HEADS | TIED, "qwen3", QWEN),
    Published("qwen3_moe", "Qwen3MoeConfig", HEADS | EXPERTS | QWEN_EXPERTS, "qwen3", QWEN),
    Published("gemma3", "Gemma3TextConfig", HEADS | SIX | {"query_pre_attn_scalar": 16}, "gemma3", GEMMA),
    Published("mistral", "MistralConfig", HEADS | {"sliding_window": None}, "mistral", MISTRAL),
    Published("mixtral", "MixtralConfig", SIZES | EXPERTS | {"num_local_experts": 4}, "mistral", MISTRAL),
    Published("phi3", "Phi3Config", SIZES | {"sliding_window": None}, "phi3", PHI3),
)


def publish(family: Published, folder: Path) -> Path:
    """`folder` as a hub has it: weights in float16 of which each counts, and the tokenizer."""
    import torch

    folder.mkdir()
    made_so = family.tokens
    tokens = made_so.count if isinstance(made_so, Pieces) else byte_level(folder, TEMPLATES[family.template], made_so)
    values = {**family.values, "max_position_embeddings": 1024, "vocab_size": tokens}
    made = families.Family(family.name, config(family.kind, **values))
    families.base(made).to(torch.float16).save_pretrained(str(folder))
    if isinstance(made_so, Pieces):
        template = PHI3_TEMPLATE if family.template == "phi3" else TEMPLATES[family.template].template
        sentence_pieces(folder, template, made_so)
    return folder
