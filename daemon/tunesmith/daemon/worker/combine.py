"""Several adapters put into the base of a finished run, each with its weight: what a merge exports."""

from __future__ import annotations

from pathlib import Path

from tunesmith.daemon import publish
from tunesmith.daemon.worker import taken_up, trained
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.merging.fitting import config_of
from tunesmith.daemon.worker.train import identity, merge
from tunesmith.daemon.worker.trained import Trained
from tunesmith.recipes import again
from tunesmith.recipes.words import say


def run(context: Context) -> None:
    """Set `context.merged`. Raises ModelError for an adapter that does not belong in this base or cannot be merged,
    MachineError for a damaged one.
    """
    base = identity.base_fingerprint(context.base)
    for one in context.spec.adapters:
        refuse_other(Path(one.path), base, context.base)
    context.progress(0, 1, "files", say("merged", "merged"))
    merge.adapters_into_base(context, [(Path(one.path), one.weight) for one in context.spec.adapters])
    parts = ", ".join(f"{one.weight:g} × {one.path}" for one in context.spec.adapters)
    # What takes it up finds a whole model, as of a training of every weight.
    context.trained = Trained(steps=0, total_steps=0, base=base, weights="", tuner=dict(again.WHOLE))
    english = "Merged into the base, as the sum of what each adapter changes by itself: {parts}."
    context.notice("info", say("several_merged", english, parts=parts))


def refuse_other(adapter: Path, base: str, folder: Path) -> None:
    """Of one that a run of Tunesmith made, what it was trained on is known to the bit; of others the shapes tell."""
    if (adapter / publish.MANIFEST).is_file():
        publish.verify_folder(adapter)
    config_of(adapter)
    if (adapter.parent / trained.FILE).is_file() and trained.read(adapter.parent).base != base:
        hint = "Leave it out, or merge it into the base it was trained on."
        raise taken_up.other_base(adapter.parent, folder, hint)
