"""Training on from what an earlier run exported: as peft would, from the same base and tuner only, and repeatable."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import plain
import pytest
import stopped
from stopped import Another, Told

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import export, load, trained
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import identity, merge, run, set_up, start
from tunesmith.recipes import tuners
from tunesmith.recipes.errors import MachineError, ModelError, RecipeError
from tunesmith.recipes.further import further
from tunesmith.recipes.spec import load as load_recipe

pytestmark = pytest.mark.usefixtures("one_thread")
LORA, FULL = {"kind": "lora"}, {"kind": "full"}


@pytest.fixture
def first(tiny_model: Path, tmp_path: Path, another: Another) -> Any:
    """Makes the artifacts of a run that finished, in a folder of their own."""

    def make(tuner: dict[str, Any], target: str) -> Path:
        values = stopped.parts(tiny_model, tmp_path, epochs=1, tuner=tuner, learning_rate=0.001)
        context = another(values | {"exports": [target]})
        context.tokenizer = load.tokenizer(tiny_model)
        stopped.attempt(context)
        merge.run(context)
        export.run(context)
        kept: Path = shutil.copytree(context.artifacts, tmp_path / "first")
        return kept

    return make


def next_job(another: Another, artifacts: Path, epochs: int) -> Context:
    spec = further(artifacts, epochs)
    context = another(msgspec.to_builtins(spec))
    assert context.spec == spec, "its recipe repeats it"
    return context


def test_an_adapter_trained_on_is_what_peft_makes_of_it(
    first: Any, another: Another, told: Told, tiny_model: Path
) -> None:
    import torch
    from peft import PeftModel

    artifacts = first(LORA, "adapter")
    context = next_job(another, artifacts, 2)
    assert context.spec.training.epochs == 2 and context.spec.training.start_from == str(artifacts / "adapter")
    prepare.run(context)
    set_up.run(context)
    assert identity.fingerprint(context.model) == trained.read(artifacts).weights
    feed = context.prepared.feed
    steps = [[feed.sequence(*row) for row in batch] for batch in feed.all_batches(2)]
    run.run(context)
    ours = [loss for loss, _, _ in stopped.losses(told(context)).values()]

    base = load.model(tiny_model, "cpu", torch.float32)
    theirs = PeftModel.from_pretrained(base, str(artifacts / "adapter"), is_trainable=True)
    training = context.spec.training
    expected = plain.losses(
        theirs, steps, count=len(steps), warmup=training.warmup_fraction, learning_rate=training.learning_rate
    )
    assert len(ours) == len(steps) and ours == pytest.approx(expected, abs=1e-4)
    mine = dict(identity.trained(context.model))
    for name, weight in identity.trained(theirs):
        assert torch.allclose(mine[name], weight, atol=1e-4), name
    (notice,) = [event for event in told(context) if isinstance(event, e.Notice) and "start anew" in event.text]
    assert str(artifacts / "adapter") in notice.text


def test_where_every_weight_is_trained_it_begins_with_the_merged_model(first: Any, another: Another) -> None:
    import torch

    artifacts = first(FULL, "merged")
    context = next_job(another, artifacts, 1)
    prepare.run(context)
    set_up.run(context)
    merged = load.model(artifacts / "merged", "cpu", torch.float32).requires_grad_(True)
    assert identity.fingerprint(context.model) == identity.fingerprint(merged)
    run.run(context)
    merge.run(context)
    export.run(context)
    assert (
        f"Training began from the weights in `{artifacts / 'merged'}`" in (context.artifacts / "README.md").read_text()
    )


def test_what_does_not_fit_or_is_damaged_is_refused_before_anything_is_loaded(
    first: Any, another: Another, tmp_path: Path, tiny_model: Path
) -> None:
    artifacts = first(LORA, "adapter")
    lora = tuners.cards()["lora"]
    context = next_job(another, artifacts, 1)
    assert start.folder(context, lora) == artifacts / "adapter"

    spec = context.spec
    context.spec = msgspec.structs.replace(spec, tuner=spec.tuner | {"rank": 4})
    with pytest.raises(ModelError, match=r"lora \(rank 8, alpha 16\), this run has lora \(rank 4") as refused:
        start.folder(context, lora)
    assert refused.value.code == "other_tuner"
    context.spec = msgspec.structs.replace(spec, tuner=spec.tuner | {"dropout": 0.5})
    assert start.folder(context, lora) is not None

    other = shutil.copytree(tiny_model, tmp_path / "other")
    config = other / "config.json"
    config.write_text(config.read_text() + "\n")
    context.base = other
    with pytest.raises(ModelError, match="another base") as refused:
        start.folder(context, lora)
    assert refused.value.code == "other_base"
    context.base = tiny_model

    weights = artifacts / "adapter" / start.WEIGHTS
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(MachineError) as damaged:
        start.folder(context, lora)
    assert damaged.value.code == "corrupt"
    data[-1] ^= 1
    weights.write_bytes(data)
    (artifacts / trained.FILE).unlink()
    with pytest.raises(ModelError, match=r"has no training\.json"):
        start.folder(context, lora)
    weights.unlink()
    with pytest.raises(ModelError, match="has no adapter_model"):
        start.folder(context, lora)


def test_a_run_that_exported_nothing_of_the_kind_cannot_be_trained_on(first: Any) -> None:
    artifacts = first(LORA, "adapter")
    with pytest.raises(RecipeError):
        further(artifacts, 0)
    shutil.rmtree(artifacts / "adapter")
    with pytest.raises(ModelError, match="exported no adapter") as refused:
        further(artifacts, 1)
    assert refused.value.code == "nothing_to_start_from" and "exports" in refused.value.hint
    assert load_recipe(artifacts / "recipe.yaml").training.start_from is None
