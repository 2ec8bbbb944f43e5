"""`python -m tunesmith.daemon.worker.quantize <gguf> <staged> <type> [<matrix>]`: llama.cpp's quantizer in a process.

An abort in there ends this process and not the worker; a cancel ends it too. `type` is llama.cpp's number, `matrix`
what `importance` wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.recipes.machine.cpu import granted_cores

ROWS_BYTES = 1 << 28  # of a tensor that is quantized at once: llama.cpp's own 8 GB are more than laptops have


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
    return int(llama_cpp.llama_model_quantize(str(source).encode(), str(staged).encode(), settings))


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
