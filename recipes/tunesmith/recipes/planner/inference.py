"""Inference: what chatting with an export takes: the file, the KV cache by kind of layer, and llama.cpp itself."""

from __future__ import annotations

import msgspec

from tunesmith.recipes import gguf_types
from tunesmith.recipes.exports.gguf import HEADER_BYTES
from tunesmith.recipes.models.facts import ModelFacts

MIB = 1 << 20
PROCESS_BYTES = 45 * MIB  # Python with llama.cpp loaded
BUFFERS_BYTES = 25 * MIB  # of a computation over 512 tokens
SEEING_BYTES = 300 * MIB  # what a picture of 896 x 896 is computed with; reckoned
SCORES_BYTES = 3000  # a head and token of context: attention scores of what is computed at once, measured
CACHE_BYTES = 2.0  # a number of the KV cache, float16


class Chat(msgspec.Struct, frozen=True):
    """Bytes of a process that chats: `file` of the weights, `kv_cache` of a full context, `runtime` of the rest."""

    context: int
    file: int
    kv_cache: int
    runtime: int

    @property
    def bytes(self) -> int:
        return self.file + self.kv_cache + self.runtime


def chat(facts: ModelFacts, variant: str, context: int) -> Chat:
    """With the GGUF of `variant` (f16, q8_0) and at most `context` tokens, fewer where the model sees fewer.

    Full attention keeps every token, sliding attention its window, recurrent layers a state (`kv_cache_bytes`).
    """
    tokens = min(context, facts.context or context)
    return Chat(
        context=tokens,
        file=HEADER_BYTES + gguf_types.weight_bytes(variant, facts.parameters, facts.hidden_size),
        kv_cache=facts.kv_cache_bytes(tokens, CACHE_BYTES),
        runtime=PROCESS_BYTES + BUFFERS_BYTES + tokens * facts.heads * SCORES_BYTES,
    )
