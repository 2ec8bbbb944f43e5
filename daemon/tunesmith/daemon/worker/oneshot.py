"""A model quantized by llm-compressor, in a process of the environment that it is installed in; knows nothing of ours.

`python oneshot.py <folder> <staged> <method> <bits> <group> [<rows>]`: `method` is awq, gptq or fp8,
`rows` are token ids as numpy keeps them. Beside `staged` a file says how far it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DONE = ".done"  # behind the staged name: a file with "layers of all"
SHARD = "4GB"
LEFT = (r"re:(.*[.])?(lm_head|embed_out|output)$",)  # as compressing.HEAD


def main(arguments: list[str]) -> int:
    import torch
    from llmcompressor import oneshot
    from transformers import AutoModelForCausalLM

    folder, staged, method = Path(arguments[0]), Path(arguments[1]), arguments[2]
    bits, group = int(arguments[3]), int(arguments[4])
    rows = read(Path(arguments[5])) if len(arguments) > 5 else None
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype="auto", local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    stored = model.dtype
    if rows is not None and stored == torch.float16:
        model = model.float()  # products in float16 take processors four times as long (measured)
    recipe = modifiers(method, bits, group, lambda kind: telling(kind, staged, len(layers(model))))
    if not torch.accelerator.is_available():
        without_pinned_memory()
    oneshot(model=model, recipe=recipe, dataset=rows, num_calibration_samples=1 if rows is None else len(rows))
    model.to(stored).save_pretrained(str(staged), save_compressed=True, max_shard_size=SHARD)
    (staged / "recipe.yaml").unlink(missing_ok=True)  # ours is beside it, and what config.json says is what counts
    return 0


def read(path: Path) -> Any:
    """A loader of the rows, one at a time: none is padded."""
    import numpy as np
    import torch

    with np.load(path) as file:
        texts = np.split(file["tokens"], np.cumsum(file["lengths"])[:-1])
    ids = [torch.tensor(text[None].astype(np.int64)) for text in texts]
    given = [{"input_ids": one, "attention_mask": torch.ones_like(one)} for one in ids]
    return torch.utils.data.DataLoader(given, batch_size=None)  # type: ignore[arg-type]


def modifiers(method: str, bits: int, group: int, told: Callable[[Any], Any]) -> list[Any]:
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier

    weights = {"num_bits": bits, "type": "int", "symmetric": True, "strategy": "group", "group_size": group}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    match method:
        case "awq":
            return [told(AWQModifier)(), QuantizationModifier(config_groups=groups, ignore=list(LEFT))]
        case "gptq":
            return [told(GPTQModifier)(config_groups=groups, ignore=list(LEFT))]
        case "fp8":
            return [QuantizationModifier(targets="Linear", scheme="FP8_DYNAMIC", ignore=list(LEFT))]
    raise ValueError(f"there is no method {method}")


def layers(model: Any) -> list[Any]:
    from torch import nn

    return max((list(module) for module in model.modules() if isinstance(module, nn.ModuleList)), key=len, default=[])


def telling(kind: Any, staged: Path, total: int) -> Any:
    """The modifier `kind`, which says after each layer how many are done."""

    class Telling(kind):  # type: ignore[misc]
        _done: int = 0

        def on_sequential_epoch_end(self, *arguments: Any, **named: Any) -> None:
            super().on_sequential_epoch_end(*arguments, **named)
            self._done += 1
            staged.with_name(staged.name + DONE).write_text(f"{min(self._done, total)} of {total}", "ascii")

    return Telling


def without_pinned_memory() -> None:
    """AWQ pins what it keeps of every row, for copies to a GPU; torch refuses that where there is none."""
    from llmcompressor.pipelines.cache import IntermediatesCache

    IntermediatesCache.pin_memory = lambda *_, **__: None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
