"""The starter model: a GGUF unpacked once into a normal model folder with the tokenizer it was trained with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunesmith.recipes.errors import ModelError

CONTROL_TOKEN = 3  # gguf.TokenType.CONTROL


def write(file: Path, folder: Path, progress: Callable[[float], None]) -> None:
    """The model in `file` as safetensors (float16), config, tokenizer, chat template and generation config."""
    import gguf

    metadata = {key: field.contents() for key, field in gguf.GGUFReader(file).fields.items() if "." in key}
    if metadata["tokenizer.ggml.pre"] != "smollm":
        raise ModelError(f"{file} is not the starter model", "Run ./install.sh again.")
    folder.mkdir(parents=True)
    write_tokenizer(metadata, folder)
    progress(0.2)
    write_weights(file, folder)
    progress(0.8)


def write_tokenizer(metadata: dict[str, Any], folder: Path) -> None:
    """Byte-level BPE that splits digits first; transformers' own GGUF reader leaves that out and so counts wrongly."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    engine = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    engine.decoder = decoders.ByteLevel()
    kinds = metadata["tokenizer.ggml.token_type"]
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL_TOKEN]
    engine.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])

    def named(which: str) -> str:
        return str(tokens[metadata[f"tokenizer.ggml.{which}_token_id"]])

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=engine,
        bos_token=named("bos"),
        eos_token=named("eos"),
        unk_token=named("unknown"),
        pad_token=named("padding"),
        model_max_length=metadata["llama.context_length"],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = metadata["tokenizer.chat_template"]
    tokenizer.save_pretrained(folder)


def write_weights(file: Path, folder: Path) -> None:
    """The dequantized weights. float16 holds them to 3 decimal places, as the 4-bit source does not; half the disk."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
    settings = loaded.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        settings.pop(key, None)
    # A new model around the same tensors: the loaded one still calls itself quantized and refuses to be saved.
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(type(loaded.config).from_dict(settings))
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = loaded.generation_config
    model.to(torch.float16).save_pretrained(folder)
