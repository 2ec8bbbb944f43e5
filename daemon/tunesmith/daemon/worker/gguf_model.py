"""A model folder made of a GGUF file: weights as float16, config, and a tokenizer that counts as llama.cpp does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunesmith.daemon.worker import starter
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import gguf_config, headers

# Digits, other scripts, spaces, marks: where tokenizers that were rebuilt wrongly differ.
TEXTS = (
    "Hello, world! It's 2024-11-21 and 1234567890 is a number.", "  two  spaces\n\nand\ttabs\r\n", "你好，世界。",
    "Grüße, señor — naïve café… 🙂👩‍👩‍👧", "def f(x):\n    return x**2 != 3.14  # ok", "I'll don't WE'VE they're",
)  # fmt: skip
OF_THE_ORIGINAL = "Take the model it was made of, with its own tokenizer."


def write(file: Path, folder: Path, progress: Callable[[float], None]) -> None:
    """The model in `file` into the new `folder`; `progress(share done)`. Raises ModelError."""
    refuse_unknown(file)
    folder.mkdir(parents=True)
    write_tokenizer(file, folder)
    progress(0.2)
    try:
        starter.write_weights(file, folder)
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        text = str(error).strip().splitlines()[0][:300]
        raise ModelError(f"{file.name} cannot be unpacked: {text}", OF_THE_ORIGINAL, "gguf_unsupported") from error
    progress(0.9)


def refuse_unknown(file: Path) -> None:
    """Raises ModelError for a file that is damaged, one part of several, or of an architecture without a way back."""
    if headers.PART.search(file.stem):
        raise ModelError(
            f"{file.name} is one part of several", "Join them first: llama-gguf-split --merge FIRST OUT.gguf.",
            "gguf_unsupported",
        )  # fmt: skip
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    known = {str(name).replace("_", "") for name in GGUF_CONFIG_MAPPING if name != "general"}
    named = str(gguf_config.config(file)["model_type"])
    if named.removesuffix("_text").replace("_", "").replace("-", "") not in known:
        raise ModelError(
            f"{file.name} holds a model of the architecture '{named}', which transformers cannot unpack",
            OF_THE_ORIGINAL, "gguf_unsupported",
        )  # fmt: skip


def write_tokenizer(file: Path, folder: Path) -> None:
    """Raises ModelError when it cannot be rebuilt so that it counts as llama.cpp does."""
    import gguf

    metadata = {key: field.contents() for key, field in gguf.GGUFReader(file).fields.items() if "." in key}
    if metadata.get("tokenizer.ggml.pre") == "smollm":
        starter.write_tokenizer(metadata, folder)
    else:
        by_transformers(file, folder)
    refuse_other_tokens(file, folder)


def by_transformers(file: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    try:
        AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).save_pretrained(folder)
    except (OSError, ValueError, KeyError, NotImplementedError, AttributeError) as error:
        text = str(error).strip().splitlines()[0][:300]
        raise ModelError(
            f"The tokenizer in {file.name} cannot be rebuilt: {text}", OF_THE_ORIGINAL, "gguf_unsupported"
        ) from error


def refuse_other_tokens(file: Path, folder: Path) -> None:
    """A model that is trained on other tokens than it is run on learns little. Raises ModelError."""
    from llama_cpp import Llama
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    llama = Llama(str(file), vocab_only=True, verbose=False)
    for text in TEXTS:
        ours = tokenizer.encode(text, add_special_tokens=False)
        if ours != llama.tokenize(text.encode(), add_bos=False, special=True):
            raise ModelError(
                f"The tokenizer in {file.name} cannot be rebuilt exactly: it counts {text[:20]!r} otherwise",
                OF_THE_ORIGINAL, "gguf_unsupported",
            )  # fmt: skip
