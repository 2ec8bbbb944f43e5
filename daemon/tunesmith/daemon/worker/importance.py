"""`python -m tunesmith.daemon.worker.importance <gguf> <rows> <staged>`: a model's importance matrix for some rows.

For each matrix of the model the mean square of each of its inputs while llama.cpp computes the rows: where inputs are
large, errors of the quantized weights are felt. What llama.cpp's imatrix tool does, which is not built.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.recipes.machine.cpu import granted_cores

LONGEST_ROW = 512  # tokens; what follows says little more of which inputs are large
DIMENSIONS, SOURCES, NAME_BYTES, PARAMETER_BYTES = 4, 10, 64, 64  # ggml.h: GGML_MAX_DIMS, _SRC, _NAME, _OP_PARAMS
FLOAT32 = 0  # ggml.h: GGML_TYPE_F32
DONE = ".done"  # behind the staged name: a file with how many rows are computed


class Tensor(ctypes.Structure):
    """ggml.h: struct ggml_tensor, as far as it is looked at."""


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * DIMENSIONS),
    ("nb", ctypes.c_size_t * DIMENSIONS),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * (PARAMETER_BYTES // 4)),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * SOURCES),
    ("view_src", ctypes.POINTER(Tensor)),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * NAME_BYTES),
]


class Squares:
    """Sums of squares by matrix: of one row of inputs, or where it holds experts one row for each."""

    def __init__(self) -> None:
        from llama_cpp._ggml import libggml

        self.sums: dict[str, Any] = {}
        self.counts: dict[str, Any] = {}
        self._library = libggml
        libggml.ggml_op_name.restype = ctypes.c_char_p
        libggml.ggml_nbytes.argtypes = [ctypes.POINTER(Tensor)]
        libggml.ggml_nbytes.restype = ctypes.c_size_t
        libggml.ggml_backend_tensor_get.argtypes = [
            ctypes.POINTER(Tensor), ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t,
        ]  # fmt: skip
        libggml.ggml_backend_tensor_get.restype = None

    def look(self, address: int, asked: bool, _: Any) -> bool:
        """llama.cpp asks whether it should stop at this operation, then shows it with its inputs computed."""
        found = ctypes.cast(address, ctypes.POINTER(Tensor)).contents
        operation = self._library.ggml_op_name(found.op)
        if operation not in (b"MUL_MAT", b"MUL_MAT_ID"):
            return not asked
        matrix, inputs = found.src[0].contents, found.src[1].contents
        name = matrix.name.decode("utf-8", "replace").partition("#")[2].partition("#")[0] or matrix.name.decode()
        if not name.startswith("blk.") or inputs.type != FLOAT32:
            return not asked
        if not asked:
            experts = int(matrix.ne[2])
            chosen = self._numbers(found.src[2], np.int32) if operation == b"MUL_MAT_ID" else None
            self.add(name, self._numbers(found.src[1], np.float32), experts, chosen)
        return True

    def add(self, name: str, values: Any, experts: int, chosen: Any) -> None:
        """`values` have the inputs last; `chosen` says by token which experts get them."""
        width = values.shape[-1]
        if name not in self.sums:
            self.sums[name] = np.zeros((experts, width), np.float64)
            self.counts[name] = np.zeros(experts, np.int64)
        sums, counts = self.sums[name], self.counts[name]
        squares = np.square(values, dtype=np.float64)
        if chosen is None:
            rows = squares.reshape(-1, experts, squares.shape[-2], width)
            sums += rows.sum(axis=(0, 2))
            counts += rows.shape[0] * rows.shape[2]
            return
        tokens, used = chosen.shape[-2:]  # inputs are (tokens, 1 or used, width)
        rows = np.broadcast_to(squares.reshape(tokens, -1, width), (tokens, used, width))
        np.add.at(sums, chosen.reshape(tokens, used), rows)
        counts += np.bincount(chosen.reshape(-1), minlength=experts)

    def means(self) -> dict[str, Any]:
        """By matrix, flat; an expert that no row came to has ones, as has a matrix without a matrix of its own."""
        found = {}
        for name, sums in self.sums.items():
            counts = self.counts[name][:, None]
            found[name] = np.where(counts > 0, sums / np.maximum(counts, 1), 1.0).astype(np.float32).reshape(-1)
        return found

    def _numbers(self, tensor: Any, kind: Any) -> Any:
        """A tensor's numbers, copied from wherever they are; the fastest dimension last, as numpy has it."""
        one = tensor.contents
        size = int(self._library.ggml_nbytes(tensor))
        copy = np.empty(size, np.uint8)
        self._library.ggml_backend_tensor_get(tensor, copy.ctypes.data, 0, size)
        strides = tuple(int(stride) for stride in reversed(one.nb))
        shape = tuple(int(length) for length in reversed(one.ne))
        return np.ndarray(shape, kind, buffer=copy.data, strides=strides)


def command(gguf: Path, rows: Path, staged: Path) -> list[str]:
    return [sys.executable, "-m", __name__, str(gguf), str(rows), str(staged)]


def main(arguments: list[str]) -> int:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when the library is loaded; see llama.py
    import llama_cpp

    gguf, rows, staged = (Path(argument) for argument in arguments)
    with np.load(rows) as file:
        texts = np.split(file["tokens"], np.cumsum(file["lengths"])[:-1])
    squares = Squares()
    looked = llama_cpp.ggml_backend_sched_eval_callback(squares.look)
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(str(gguf).encode(), llama_cpp.llama_model_default_params())
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = LONGEST_ROW
    settings.n_threads = settings.n_threads_batch = granted_cores()
    settings.cb_eval = looked
    context = llama_cpp.llama_init_from_model(model, settings) if model else None
    if not context:
        print(f"llama.cpp cannot load {gguf}", file=sys.stderr)
        return 1
    done = staged.with_name(staged.name + DONE)
    batch = llama_cpp.llama_batch_init(LONGEST_ROW, 0, 1)
    for number, text in enumerate(texts, start=1):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        batch.n_tokens = len(text)
        for place, token in enumerate(text.tolist()):
            batch.token[place], batch.pos[place] = token, place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = True  # else the last layer would see the last token only
        if llama_cpp.llama_decode(context, batch):
            print(f"llama.cpp cannot compute row {number}", file=sys.stderr)
            return 1
        done.write_text(str(number), "ascii")
    if not squares.sums:
        print("llama.cpp showed no product of a layer's matrix", file=sys.stderr)
        return 1
    with staged.open("wb") as out:
        np.savez(out, **squares.means())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
