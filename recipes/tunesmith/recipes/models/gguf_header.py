"""The header of a GGUF file, by the reader of llama.cpp's gguf package (0.1 s to import, loaded when used)."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models.safetensors import Tensor

# ggml's types hold each weight apart, in blocks or not, so that counts are exact for all of them.
TYPES = frozenset({
    "F32", "F16", "BF16", "F64", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "Q8_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0",
    "TQ2_0", "MXFP4", "NVFP4",
})  # fmt: skip


def read(path: Path) -> tuple[Tensor, ...]:
    """The tensors of `path`, which is mapped, not read. Raises ModelError when it is no whole GGUF file."""
    import gguf

    try:
        tensors = gguf.GGUFReader(path).tensors
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise ModelError(
            f"{path.name} is not a whole GGUF file: {error}", "Fetch the model again.", "model_files"
        ) from error
    return tuple(
        Tensor(str(tensor.name), str(tensor.tensor_type.name), int(tensor.n_elements), int(tensor.n_bytes))
        for tensor in tensors
    )
