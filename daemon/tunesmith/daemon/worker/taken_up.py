"""What a finished run made, taken up to be exported again: its adapter and its merged model, merged anew if need be."""

from __future__ import annotations

from pathlib import Path

from tunesmith.daemon import publish
from tunesmith.daemon.worker import trained
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import identity, merge
from tunesmith.recipes import again, tuners
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.planner.stages import needs_merging
from tunesmith.recipes.words import say


def run(context: Context) -> None:
    """Set `context.adapter` and `context.merged`: each is verified before it is used, and never written to.

    Raises ModelError when the run left neither or the base is another by now, MachineError when something is damaged.
    """
    artifacts = Path(context.spec.of or "")
    context.trained = trained.read(artifacts)
    if context.trained.base != identity.base_fingerprint(context.base):
        raise other_base(artifacts, context.base, "Put the base of that run back where its recipe says it is.")
    adapter, merged = again.folders(artifacts)
    if tuners.cards()[context.spec.tuner["kind"]].adapter and adapter.is_dir():
        publish.verify_folder(adapter)
        context.adapter = adapter
    context.progress(0, 1, "files", say("merged", "merged"))
    if merged.is_dir():
        publish.verify_folder(merged)
        context.merged = merged
    elif needs_merging(context.spec):
        if context.adapter != adapter:
            raise again.nothing_left(artifacts)
        merge.adapter_into_base(context)


def other_base(artifacts: Path, base: Path, hint: str) -> ModelError:
    return ModelError(f"The run in {artifacts} was trained on another base than {base}", hint, "other_base")
