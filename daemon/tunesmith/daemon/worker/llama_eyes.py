"""libmtmd beside a model that llama.cpp has loaded: a picture becomes embeddings that stand among its tokens'."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.models import gguf_header

Floats = np.ndarray[Any, np.dtype[np.float32]]


class Picture(msgspec.Struct, frozen=True):
    """`pixels` are bytes of red, green and blue, row by row from the top."""

    width: int
    height: int
    pixels: bytes


class Eyes:
    """What `file` (an mmproj) sees with, for the language model `llama` (a llama_cpp.Llama)."""

    def __init__(self, file: Path, llama: Any) -> None:
        """Raises ModelError for a file that is damaged, or made for another model."""
        if not file.is_file():
            raise ModelError(f"There is nothing to see with at {file}", "Export gguf-mmproj of the run first.")
        gguf_header.read(file)  # what llama.cpp takes a file's word for, and aborts over
        from llama_cpp import llama_model_n_embd_inp, mtmd_cpp

        self._mtmd: Any = mtmd_cpp
        self._width = int(llama_model_n_embd_inp(llama._model.model))
        settings = mtmd_cpp.mtmd_context_params_default()
        settings.use_gpu = False
        settings.print_timings = False
        settings.warmup = False
        settings.n_threads = granted_cores()
        self._context: Any = mtmd_cpp.mtmd_init_from_file(str(file).encode(), llama._model.model, settings)
        if not self._context:
            raise ModelError(f"llama.cpp cannot load {file} beside this model", "Export the model again.")
        if not mtmd_cpp.mtmd_support_vision(self._context):
            self.close()
            raise ModelError(f"{file} is nothing to see pictures with", "Export gguf-mmproj of a vision model.")

    def __enter__(self) -> Eyes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._mtmd.mtmd_free(self._context)
        self._context = None

    def embeddings(self, picture: Picture) -> Floats:
        """Those of `picture`, a row each. Raises ModelError."""
        marker = self._mtmd.mtmd_default_marker().decode()
        with Chunks(self._mtmd, self._context, marker, [picture]) as chunks:
            return np.concatenate([self._encoded(chunk) for chunk in chunks.pictures()])

    def _encoded(self, chunk: Any) -> Floats:
        if self._mtmd.mtmd_encode_chunk(self._context, chunk) != 0:
            raise ModelError("llama.cpp cannot look at the picture", "Export the model again.")
        count = self._mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        found = self._mtmd.mtmd_get_output_embd(self._context)
        return np.ctypeslib.as_array(found, (count * self._width,)).reshape(count, self._width).copy()


class Chunks:
    """`text` with a marker where each of `pictures` stands, cut into pieces of text and pictures."""

    def __init__(self, mtmd: Any, context: Any, text: str, pictures: list[Picture]) -> None:
        """Raises ModelError where there are more markers than pictures, or fewer."""
        self._mtmd = mtmd
        self._chunks = mtmd.mtmd_input_chunks_init()
        self._bitmaps = [
            mtmd.mtmd_bitmap_init(
                one.width, one.height, (ctypes.c_uint8 * len(one.pixels)).from_buffer_copy(one.pixels)
            )
            for one in pictures
        ]
        given = mtmd.mtmd_input_text()
        given.text = data = text.encode()
        given.text_len = len(data)
        given.add_special = False  # the chat template writes what a text begins with
        given.parse_special = True
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * len(pictures))(*self._bitmaps)
        if mtmd.mtmd_tokenize(context, self._chunks, ctypes.byref(given), bitmaps, len(pictures)) != 0:
            self.close()
            raise ModelError("llama.cpp cannot put the pictures into the text", "Send other pictures.")

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._mtmd.mtmd_input_chunks_free(self._chunks)
        for bitmap in self._bitmaps:
            self._mtmd.mtmd_bitmap_free(bitmap)

    def pictures(self) -> list[Any]:
        found = (self._mtmd.mtmd_input_chunks_get(self._chunks, i) for i in range(self._count()))
        image = self._mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE
        return [chunk for chunk in found if self._mtmd.mtmd_input_chunk_get_type(chunk) == image]

    def _count(self) -> int:
        return int(self._mtmd.mtmd_input_chunks_size(self._chunks))
