"""A real but tiny model: random weights, two layers, the starter's tokenizer."""

from __future__ import annotations

from pathlib import Path


def make(folder: Path) -> Path:
    """`folder`, with the model in it."""
    import gguf
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tunesmith.daemon.worker import fetch, starter

    folder.mkdir(parents=True)
    reader = gguf.GGUFReader(fetch.starter_gguf())
    starter.write_tokenizer({key: field.contents() for key, field in reader.fields.items()}, folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
