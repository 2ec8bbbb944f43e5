"""Training on: the recipe that takes up what a finished run exported, for some epochs more."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.recipes.errors import ModelError, RecipeError
from tunesmith.recipes.spec import MERGE, TRAIN, JobSpec, ModelSpec, complete, load

RECIPE = "recipe.yaml"  # beside the artifacts: what the run did, automatic values filled in


def further(artifacts: Path, epochs: int) -> JobSpec:
    """The recipe of the run whose exports lie in `artifacts`, to be trained on from them for `epochs` more.

    Of a merge it trains a new adapter on the merged model. The same seed: rows that were held out stay so. Raises
    RecipeError, and ModelError where the run exported nothing to go on from.
    """
    from tunesmith.recipes import exports, tuners

    spec = load(artifacts / RECIPE)
    if spec.task not in (TRAIN, MERGE) and spec.of is not None:  # it only exported what another run made
        return further(Path(spec.of), epochs)
    merge = spec.task == MERGE
    target = "adapter" if tuners.cards()[spec.tuner["kind"]].adapter and not merge else "merged"
    start = artifacts / exports.find(target)[0].file_name("")
    if not start.is_dir():
        raise ModelError(
            f"The run exported no {target}, so there is nothing to train on from: {start}",
            "Write it, and train on from that: `tunesmith export RUN --to merged`."
            if merge
            else f"Run its recipe again with `{target}` among its `exports`.",
            "nothing_to_start_from",
        )
    if epochs < 1:
        raise RecipeError(f"{epochs} epochs more is no training", "Give 1 or more.")
    if merge:
        training = msgspec.structs.replace(spec.training, epochs=epochs, start_from=None)
        return complete(
            msgspec.structs.replace(
                spec, task=TRAIN, of=None, adapters=(), model=ModelSpec(source=str(start)), training=training
            )
        )
    training = msgspec.structs.replace(spec.training, epochs=epochs, start_from=str(start))
    return complete(msgspec.structs.replace(spec, training=training))
