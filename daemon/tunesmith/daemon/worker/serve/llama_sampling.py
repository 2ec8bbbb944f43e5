"""llama.cpp's samplers for a request: penalties, a grammar, and how the token is drawn."""

from __future__ import annotations

import secrets
from typing import Any

from tunesmith.daemon.serving.lines import Sampling
from tunesmith.recipes.errors import ModelError

PENALTY_TOKENS = 64  # that repetition penalties look back on, as llama.cpp does by itself


def chain(vocabulary: Any, asked: Sampling, grammar: str | None) -> Any:
    """In the order in which llama.cpp applies them. Raises ModelError for a grammar that it cannot read."""
    import llama_cpp as c

    made = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())

    def add(one: Any) -> None:
        c.llama_sampler_chain_add(made, one)

    if asked.frequency_penalty or asked.presence_penalty:
        tokens = c.llama_vocab_n_tokens(vocabulary)
        add(
            c.llama_sampler_init_penalties(tokens, PENALTY_TOKENS, 1.0, asked.frequency_penalty, asked.presence_penalty)
        )
    if grammar:
        held = c.llama_sampler_init_grammar(vocabulary, grammar.encode(), b"root")
        if not held:
            c.llama_sampler_free(made)
            raise ModelError("llama.cpp cannot follow this JSON schema", "Make it simpler.", "schema")
        add(held)
    if asked.temperature == 0:
        add(c.llama_sampler_init_greedy())
        return made
    if asked.top_k:
        add(c.llama_sampler_init_top_k(asked.top_k))
    if asked.top_p < 1:
        add(c.llama_sampler_init_top_p(asked.top_p, 1))
    if asked.min_p:
        add(c.llama_sampler_init_min_p(asked.min_p, 1))
    add(c.llama_sampler_init_temp(asked.temperature))
    add(c.llama_sampler_init_dist(secrets.randbits(32) if asked.seed is None else asked.seed & 0xFFFFFFFF))
    return made
