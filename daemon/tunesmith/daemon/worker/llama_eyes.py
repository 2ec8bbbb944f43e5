"""libmtmd beside a model that llama.cpp has loaded: a picture becomes embeddings that stand among its tokens'."""

from __future__ import annotations

import ctypes
import hashlib
import secrets
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.daemon.worker.engines import Picture
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.models import gguf_header

Floats = np.ndarray[Any, np.dtype[np.float32]]


class Eyes:
    """What `file` (an mmproj) sees with, for the language model `model` (a llama_model). `mark` stands for a picture in
    a text; nobody can guess it, so that no text of a person can.
    """

    def __init__(self, file: Path, model: Any) -> None:
        """Raises ModelError for a file that is damaged, or made for another model."""
        if not file.is_file():
            raise ModelError(f"There is nothing to see with at {file}", "Export gguf-mmproj of the run first.")
        gguf_header.read(file)  # what llama.cpp takes a file's word for, and aborts over
        from llama_cpp import llama_model_n_embd_inp, llama_pos, mtmd_cpp

        self._mtmd: Any = mtmd_cpp
        self._position: Any = llama_pos
        self._width = int(llama_model_n_embd_inp(model))
        self.mark = f"<picture {secrets.token_hex(8)}>"
        settings = mtmd_cpp.mtmd_context_params_default()
        settings.media_marker = self.mark.encode()
        settings.use_gpu = False
        settings.print_timings = False
        settings.warmup = False
        settings.n_threads = granted_cores()
        self._context: Any = mtmd_cpp.mtmd_init_from_file(str(file).encode(), model, settings)
        if not self._context:
            raise ModelError(f"llama.cpp cannot load {file} beside this model", "Export the model again.")
        if not mtmd_cpp.mtmd_support_vision(self._context):
            self.close()
            raise ModelError(f"{file} is nothing to see pictures with", "Export gguf-mmproj of a vision model.")
        if mtmd_cpp.mtmd_decode_use_mrope(self._context):
            self.close()
            raise ModelError(f"{file} counts places of pictures in a way that is not served", "Move it away.")

    def __enter__(self) -> Eyes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._mtmd.mtmd_free(self._context)
        self._context = None

    def embeddings(self, picture: Picture) -> Floats:
        """Those of `picture`, a row each. Raises ModelError."""
        seen = self.see(self.mark, [picture])
        return np.concatenate([self._encoded(chunk) for chunk in seen.chunks.values()])

    def see(self, text: str, pictures: Sequence[Picture]) -> SeenText:
        """`text` as tokens with `pictures` at its marks. Raises ModelError."""
        return SeenText(self._mtmd, self._context, text, pictures)

    def look(self, context: Any, seen: SeenText, place: int, sequence: int, batch: int) -> int:
        """Have `context` look at the picture that begins at `place` of the `sequence`; where it ends.

        Raises RuntimeError.
        """
        behind = self._position(0)
        code = self._mtmd.mtmd_helper_eval_chunk_single(
            self._context, context, seen.chunks[place], place, sequence, batch, False, ctypes.byref(behind)
        )
        if code != 0:
            raise RuntimeError(f"libmtmd gave {code}")
        return int(behind.value)

    def _encoded(self, chunk: Any) -> Floats:
        if self._mtmd.mtmd_encode_chunk(self._context, chunk) != 0:
            raise ModelError("llama.cpp cannot look at the picture", "Export the model again.")
        count = self._mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        found = self._mtmd.mtmd_get_output_embd(self._context)
        return np.ctypeslib.as_array(found, (count * self._width,)).reshape(count, self._width).copy()


class SeenText:
    """`text` with a mark where each of `pictures` stands, as tokens: `ids` has the same negative number for each token
    of a picture, another for another picture, and `chunks` by where one begins.
    """

    def __init__(self, mtmd: Any, context: Any, text: str, pictures: Sequence[Picture]) -> None:
        """Raises ModelError where there are more marks than pictures, or fewer."""
        self.ids: list[int] = []
        self.chunks: dict[int, Any] = {}
        self._chunks = mtmd.mtmd_input_chunks_init()
        self._freed = weakref.finalize(self, mtmd.mtmd_input_chunks_free, self._chunks)
        data = text.encode()
        given = mtmd.mtmd_input_text()
        given.text, given.text_len = data, len(data)
        given.add_special = False  # the chat template writes what a text begins with
        given.parse_special = True
        bitmaps = [bitmap(mtmd, picture) for picture in pictures]
        try:
            array = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
            code = mtmd.mtmd_tokenize(context, self._chunks, ctypes.byref(given), array, len(bitmaps))
        finally:
            for one in bitmaps:
                mtmd.mtmd_bitmap_free(one)
        if code != 0:
            raise ModelError("The images have no place in the conversation", "Send other images.", "media")
        names = iter([name_of(picture) for picture in pictures])
        for index in range(mtmd.mtmd_input_chunks_size(self._chunks)):
            self._add(mtmd, mtmd.mtmd_input_chunks_get(self._chunks, index), names)

    def _add(self, mtmd: Any, chunk: Any, names: Iterator[int]) -> None:
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            count = ctypes.c_size_t()
            tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
            self.ids += tokens[: count.value]
            return
        self.chunks[len(self.ids)] = chunk
        self.ids += [next(names)] * mtmd.mtmd_input_chunk_get_n_tokens(chunk)


def bitmap(mtmd: Any, picture: Picture) -> Any:
    pixels = (ctypes.c_uint8 * len(picture.pixels)).from_buffer_copy(picture.pixels)
    return mtmd.mtmd_bitmap_init(picture.width, picture.height, pixels)


def name_of(picture: Picture) -> int:
    """A number below 0 that is this picture's alone: what was computed of it may be used again."""
    size = f"{picture.width} {picture.height} ".encode()
    return -1 - int.from_bytes(hashlib.sha256(size + picture.pixels).digest()[:8])
