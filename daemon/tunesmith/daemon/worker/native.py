"""A model quantized by gptqmodel into the layout of AutoGPTQ, in a process of its own environment.

`python native.py <folder> <staged> <method> <bits> <group> <rows>`: `method` is gptq, `rows` are token ids as
numpy keeps them; knows nothing of ours. Beside `staged` a file says how far it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

DONE = ".done"  # behind the staged name: a file with "layers of all"
SHARD = "4GB"
KEPT = ("config.json", "quantize_config.json", "model.safetensors.index.json")
LEAST_WORKERS = 2  # with one its pool of loaders has none
LEAST_ROW = 1  # tokens: which rows are too short is decided before


def main(arguments: list[str]) -> int:
    folder, staged = Path(arguments[0]), Path(arguments[1])
    bits, group = int(arguments[3]), int(arguments[4])
    settle()
    import torch
    from gptqmodel import BACKEND, GPTQModel
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    stored = config.dtype or torch.float32
    computed = torch.float32 if stored == torch.float16 else stored  # float16 takes processors four times as long
    model = GPTQModel.load(
        str(folder), settings(bits, group), dtype=computed, trust_remote_code=False, local_files_only=True
    )
    rows = read(Path(arguments[5]))
    total = len(layers(model.model))
    model.layer_callback = lambda layer_idx, **_: tell(staged, min(layer_idx + 1, total), total)
    model.quantize(rows, batch_size=1, calibration_data_min_length=LEAST_ROW, backend=BACKEND.GPTQ_TORCH)
    as_stored(model.model, stored)
    model.save(str(staged), max_shard_size=SHARD)
    for path in staged.iterdir():  # all else comes from `folder`, as it is there
        if path.suffix != ".safetensors" and path.name not in KEPT:
            path.unlink()
    return 0


def settle() -> None:
    """What gptqmodel reads when it is imported: as many threads as were granted, and no compiler for its packing."""
    os.environ["GPTQMODEL_CPU_WORKERS"] = str(max(LEAST_WORKERS, int(os.environ.get("OMP_NUM_THREADS") or 0)))
    os.environ["GPTQMODEL_DISABLE_PACK_EXT"] = "1"


def settings(bits: int, group: int) -> Any:
    from gptqmodel import QuantizeConfig
    from gptqmodel.quantization import FORMAT, METHOD

    return QuantizeConfig(
        bits=bits, group_size=group, desc_act=False, sym=True, method=METHOD.GPTQ, format=FORMAT.GPTQ, device="cpu",
        offload_to_disk=False,
    )  # fmt: skip


def read(path: Path) -> list[dict[str, list[int]]]:
    import numpy as np

    with np.load(path) as file:
        texts = np.split(file["tokens"], np.cumsum(file["lengths"])[:-1])
    return [{"input_ids": text.tolist(), "attention_mask": [1] * len(text)} for text in texts]


def as_stored(model: Any, stored: Any) -> None:
    """What is not packed, such as embeddings and norms, in the dtype that the files had."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(stored)
    model.config.dtype = stored


def layers(model: Any) -> list[Any]:
    from torch import nn

    return max((list(module) for module in model.modules() if isinstance(module, nn.ModuleList)), key=len, default=[])


def tell(staged: Path, layer: int, total: int) -> None:
    staged.with_name(staged.name + DONE).write_text(f"{layer} of {total}", "ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
