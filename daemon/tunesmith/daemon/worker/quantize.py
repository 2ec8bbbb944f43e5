"""`python -m tunesmith.daemon.worker.quantize <gguf> <staged> <type> [<matrix>]`: llama.cpp's quantizer in a process.

An abort in there ends this process and not the worker; a cancel ends it too. `type` is llama.cpp's number, `matrix`
what `importance` wrote.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.recipes.gguf_types import BLOCK
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.models import gguf_header

ROWS_BYTES = 1 << 28  # of a tensor that is quantized at once: llama.cpp's own 8 GB are more than laptops have


# Where blocks of 256 do not divide a row llama.cpp takes Q5_1 for Q5_K, and computes it with sums in float16: a tuned
# SmolLM2-135M as Q5_K_M came to a KL divergence of 0.14 with it and of 0.06 with Q5_0, which is smaller too (measured).
INSTEAD = {"Q5_1": "Q5_0"}


def command(source: Path, staged: Path, number: int, matrix: Path | None) -> list[str]:
    more = [] if matrix is None else [str(matrix)]
    return [sys.executable, "-m", __name__, str(source), str(staged), str(number), *more]


def main(arguments: list[str]) -> int:
    import llama_cpp

    source, staged, number = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = number
    settings.nthread = granted_cores()
    settings.max_buf_size = ROWS_BYTES
    kept = entries(Path(arguments[3])) if len(arguments) > 3 else None
    if kept is not None:
        settings.imatrix = kept
    failed = int(llama_cpp.llama_model_quantize(str(source).encode(), str(staged).encode(), settings))
    if failed or number == llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_1 or not (taken := instead(staged)):
        return failed
    settings.tt_overrides = overrides(taken)
    return int(llama_cpp.llama_model_quantize(str(source).encode(), str(staged).encode(), settings))


def instead(path: Path) -> dict[str, str]:
    """The type that each matrix shall have whose rows did not fit; empty where llama.cpp's own choice stays."""
    found = fell_back(path)
    if not INSTEAD.keys() & {dtype for dtype, _ in found.values()}:
        return {}
    # All of them: what is not named would be dealt out anew among the types of a mixture.
    return {name: INSTEAD.get(dtype, dtype) for name, (dtype, _) in found.items()}


def fell_back(path: Path) -> dict[str, tuple[str, int]]:
    """Type and row length of the quantized matrices whose rows blocks of BLOCK do not divide."""
    shapes = {name: one.shape for name, one in gguf_header.header(path).tensors.items()}
    return {
        tensor.name: (tensor.dtype, shapes[tensor.name][0])
        for tensor in gguf_header.read(path)
        if len(shapes[tensor.name]) > 1
        and shapes[tensor.name][0] % BLOCK
        and tensor.dtype not in ("F32", "F16", "BF16")
    }


def overrides(types: dict[str, str]) -> Any:
    """A C array of patterns for names with a type each, one without a pattern at its end."""
    from gguf import GGMLQuantizationType
    from llama_cpp import llama_model_tensor_override

    array = (llama_model_tensor_override * (len(types) + 1))()
    for entry, (name, dtype) in zip(array, types.items(), strict=False):
        entry.pattern = f"^{re.escape(name)}$".encode()
        entry.type = int(GGMLQuantizationType[dtype])
    return array


def entries(matrix: Path) -> Any:
    """A C array of the matrix's tensors, one without a name at its end; it keeps alive what it points to."""
    import ctypes

    from llama_cpp import llama_model_imatrix_data

    with np.load(matrix) as file:
        rows = {name: np.ascontiguousarray(file[name], np.float32) for name in file.files}
    array = (llama_model_imatrix_data * (len(rows) + 1))()
    for entry, (name, values) in zip(array, rows.items(), strict=False):
        entry.name = name.encode()
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = values.size
    array.rows = rows
    return array


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
