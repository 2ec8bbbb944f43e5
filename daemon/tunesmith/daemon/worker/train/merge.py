"""The adapter merged into the base: a plain model folder that exports start from."""

from __future__ import annotations

import shutil

from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes import tuners
from tunesmith.recipes.errors import ModelError


def run(context: Context) -> None:
    """Merged in the training dtype, kept in the base's own; the trained model is taken and let go."""
    tuner = tuners.cards()[context.spec.tuner["kind"]]
    if not tuner.merges:
        raise ModelError(f"{tuner.title} cannot be merged", "Export the adapter only.")
    context.check_cancelled()
    merged = context.model.merge_and_unload()
    context.model = None
    merged = merged.to("cpu", load.stored_dtype(context.base))
    merged.save_pretrained(str(context.merged))
    context.tokenizer.save_pretrained(str(context.merged))
    own = context.base / "generation_config.json"
    if own.is_file():
        shutil.copyfile(own, context.merged / own.name)
