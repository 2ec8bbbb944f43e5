"""Training on: the recipe that takes up what a finished run exported, for some epochs more."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.recipes.errors import ModelError, RecipeError
from tunesmith.recipes.spec import MERGE, JobSpec, complete, load

RECIPE = "recipe.yaml"  # beside the artifacts: what the run did, automatic values filled in


def further(artifacts: Path, epochs: int) -> JobSpec:
    """The recipe of the run whose exports lie in `artifacts`, to be trained on from them for `epochs` more.

    The same seed: rows that were held out stay so. Raises RecipeError, and ModelError where the run exported nothing to
    go on from.
    """
    from tunesmith.recipes import again, exports, tuners

    spec = load(artifacts / RECIPE)
    if spec.task == MERGE:
        raise again.several(f"What lies in {artifacts}")
    if spec.of is not None:  # it only exported what another run made
        return further(Path(spec.of), epochs)
    tuner = tuners.cards()[spec.tuner["kind"]]
    target = "adapter" if tuner.adapter else "merged"
    start = artifacts / exports.find(target)[0].file_name("")
    if not start.is_dir():
        raise ModelError(
            f"The run exported no {target}, so there is nothing to train on from: {start}",
            f"Run its recipe again with `{target}` among its `exports`.",
            "nothing_to_start_from",
        )
    if epochs < 1:
        raise RecipeError(f"{epochs} epochs more is no training", "Give 1 or more.")
    training = msgspec.structs.replace(spec.training, epochs=epochs, start_from=str(start))
    return complete(msgspec.structs.replace(spec, training=training))
