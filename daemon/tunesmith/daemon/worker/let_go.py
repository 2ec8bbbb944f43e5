"""The trained model let go, and its memory given back, before another process answers with what was exported."""

from __future__ import annotations

import sys

from tunesmith.daemon.worker import processor
from tunesmith.daemon.worker.context import Context


def run(context: Context) -> None:
    """Of a GPU only the context of the process itself remains, and the server's engines compute on the processor."""
    context.let_go()
    context.set_up = None
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    processor.release_freed_memory()
