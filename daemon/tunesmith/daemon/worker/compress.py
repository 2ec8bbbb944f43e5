"""`python -m tunesmith.daemon.worker.compress <folder> <staged> <kind>`: bitsandbytes' quantizer in a process.

Its memory goes with it, and a cancel ends it. `kind` is one of the card's. What lies beside the weights comes along.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from tunesmith.daemon.publish import MANIFEST
from tunesmith.daemon.worker import load
from tunesmith.recipes.exports.bnb import KINDS
from tunesmith.recipes.models import headers

SHARD = "4GB"


def command(folder: Path, staged: Path, kind: str) -> list[str]:
    return [sys.executable, "-m", __name__, str(folder), str(staged), kind]


def main(arguments: list[str]) -> int:
    folder, staged, kind = Path(arguments[0]), Path(arguments[1]), arguments[2]
    model = quantized(folder, kind)
    model.save_pretrained(str(staged), max_shard_size=SHARD)
    take_along(folder, staged)
    return 0


def take_along(folder: Path, staged: Path) -> None:
    """What lies beside the weights."""
    for path in folder.iterdir():
        weights = path.suffix == ".safetensors" or path.name in (headers.INDEX, MANIFEST)
        if path.is_file() and not weights and not (staged / path.name).exists():
            shutil.copyfile(path, staged / path.name)


def quantized(folder: Path, kind: str) -> Any:
    """The model with its linear layers quantized, all else in the dtype of its files."""
    from transformers import AutoModelForCausalLM

    dtype = load.stored_dtype(folder)
    return AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=dtype, quantization_config=KINDS[kind].config(dtype), device_map={"": "cpu"},
        local_files_only=True, trust_remote_code=False, use_safetensors=True,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
