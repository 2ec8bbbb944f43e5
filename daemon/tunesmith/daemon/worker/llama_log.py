"""llama.cpp's log, of which a process that answers keeps what went wrong."""

from __future__ import annotations

import functools
import os


@functools.cache
def errors_only() -> object:
    """The libraries call what they were given for as long as the process lives, so it must be kept."""
    import llama_cpp
    from llama_cpp import mtmd_cpp

    kept = llama_cpp.llama_log_callback(_errors_only)
    llama_cpp.llama_log_set(kept, None)
    mtmd_cpp.mtmd_log_set(kept, None)
    mtmd_cpp.mtmd_helper_log_set(kept, None)
    return kept


def _errors_only(level: int, text: bytes, data: object) -> None:
    """llama.cpp writes a page for every model; what went wrong is for the log."""
    if level >= 3:  # GGML_LOG_LEVEL_WARN is 3, ERROR 4
        os.write(2, text)
