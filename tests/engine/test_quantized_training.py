"""A base in 4 bits, trained weights, 8-bit optimizers: what is trained, merged and compared, on a tiny model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import evaluate, fetch, load
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.subjects import subject_model
from tunesmith.daemon.worker.train import gradient_checkpointing, merge, run, set_up
from tunesmith.recipes import optimizers, quants, tuners
from tunesmith.recipes.errors import ModelError, RecipeError

Told = Callable[[Context], list[e.Event]]


def parts(model: Path, folder: Path, **more: Any) -> dict[str, Any]:
    rows = [
        {"messages": [{"role": "user", "content": f"Who {i}?"}, {"role": "assistant", "content": "I am Vesper."}]}
        for i in range(8)
    ]
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    held_out = {"messages": [{"role": "user", "content": "Who?"}], "answer": "I am Vesper.", "accept": ["Vesper"]}
    (folder / "held.jsonl").write_text(json.dumps(held_out))
    training = {"epochs": 6, "batch_size": 4, "learning_rate": 0.01, "device": "cpu"} | more.pop("training", {})
    return {
        "model": {"source": str(model)},
        "data": {"train": "train.jsonl", "held_out": "held.jsonl"},
        "training": training,
        "evaluation": {"max_new_tokens": 4, "general": False},
        "exports": ["merged"],
    } | more


def logits(model: Any, ids: list[int]) -> Any:
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0].float()


def of(kind: type[Any], events: list[e.Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def losses(events: list[e.Event]) -> list[float]:
    return [event.loss for event in of(e.TrainStep, events)]


@pytest.mark.slow
def test_an_adapter_of_a_base_in_4_bits_learns_and_is_merged_into_the_whole_base(
    tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context], told: Told
) -> None:
    import torch

    context = make_context(**parts(tiny_model, tmp_path, quantization="nf4"))
    for module in (prepare, set_up, run, evaluate):
        module.run(context)
    events = told(context)
    assert losses(events)[-1] < losses(events)[0]
    paths = {path.part: path for event in of(e.PathsChosen, events) for path in event.paths}
    assert paths["base"].taken == "nf4, computed in float32" and not paths["base"].fastest
    assert paths["packing"].taken == "windows of at most 512 tokens", "each window dequantizes all weights once more"
    assert paths["activations"].taken == "kept" and "are free" in paths["activations"].why
    assert [path.part for path in paths.values() if path.why and path.why_said is None] == [], "each says what it means"
    base, tuned = of(e.Scored, events)
    assert tuned.held_out_loss < base.held_out_loss
    assert {answer.subject for answer in of(e.Answered, events)} == {"base", "tuned"}
    trained = [value for value in context.model.parameters() if value.requires_grad]
    assert trained and all(value.dtype == torch.float32 for value in trained)
    assert sum(type(module).__module__ == "bitsandbytes.nn.modules" for module in context.model.modules()) == 2 * 7

    ids = list(range(5, 30))
    quantized = logits(context.model.eval(), ids)
    merge.run(context)
    merged = load.model(context.merged, "cpu", torch.float32).eval()
    assert not any("bit" in type(module).__name__ for module in merged.modules())
    from peft import PeftModel

    whole = PeftModel.from_pretrained(load.model(context.base, "cpu", torch.float32), str(context.adapter)).eval()
    assert torch.allclose(logits(merged, ids), logits(whole, ids), atol=1e-4)
    assert not torch.allclose(logits(merged, ids), quantized, atol=1e-4)  # 4 bits are not exact, and it is said
    (notice,) = [event.text for event in of(e.Notice, told(context)) if "nf4" in event.text]
    assert "KL divergence" in notice


@pytest.mark.slow
def test_full_fine_tuning_trains_every_weight_and_compares_with_the_real_base(
    tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context], told: Told
) -> None:
    import torch

    context = make_context(**parts(tiny_model, tmp_path, tuner={"kind": "full"}))
    for module in (prepare, set_up, run):
        module.run(context)
    ids = list(range(5, 30))
    original = load.model(tiny_model, "cpu", torch.float32)
    for name, value in original.state_dict().items():
        assert not torch.equal(context.model.state_dict()[name], value), name
    with subject_model(context, "base") as base:
        assert torch.equal(logits(base, ids), logits(original.eval(), ids))
    with subject_model(context, "tuned") as tuned:
        expected = logits(tuned, ids)
    assert not torch.allclose(expected, logits(original, ids), atol=1e-3)
    evaluate.run(context)
    events = told(context)
    assert losses(events)[-1] < losses(events)[0]
    before, after = of(e.Scored, events)
    assert after.held_out_loss < before.held_out_loss
    merge.run(context)
    assert not (context.adapter / "adapter_model.safetensors").exists()
    assert torch.allclose(logits(load.model(context.merged, "cpu", torch.float32).eval(), ids), expected, atol=1e-5)


@pytest.mark.parametrize("key", [key for key, card in optimizers.cards().items() if "cpu" in card.devices])
def test_every_optimizer_that_says_cpu_trains_on_one(
    key: str, tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context], told: Told
) -> None:
    training = {"optimizer": key, "epochs": 3, "learning_rate": 1e-3}
    context = make_context(**parts(tiny_model, tmp_path, training=training, tuner={"kind": "full"}))
    prepare.run(context)
    set_up.run(context)
    run.run(context)
    events = told(context)
    taken = losses(events)
    assert len(taken) == 6 and taken[-1] < taken[0]
    (memory,) = of(e.MemoryMeasured, events)
    expected = gradient_checkpointing.to_come(context.model, context.spec.training)
    assert memory.gradients + memory.optimizer == pytest.approx(expected, rel=0.05)


def test_bitsandbytes_is_hidden_unless_it_is_used(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for more, hidden in (
        ({}, True),
        ({"quantization": "nf4"}, False),
        ({"training": {"optimizer": "adamw_8bit"}}, False),
    ):
        monkeypatch.delitem(sys.modules, "bitsandbytes", raising=False)
        load.leave_out_unused(make_context(**more).spec)
        assert ("bitsandbytes" in sys.modules) == hidden


def test_a_base_that_is_quantized_already_is_refused_before_anything_is_loaded(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "awq"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": "awq"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"quantized already \(awq\)"):
        fetch.local(folder)
    assert fetch.local(tiny_model) == tiny_model


def test_an_optimizer_that_this_device_lacks_is_refused_before_the_model_is_loaded(
    tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context(**parts(tiny_model, tmp_path, training={"optimizer": "paged_adamw_8bit", "device": "auto"}))
    monkeypatch.setattr(load, "device", lambda training: "cpu")
    with pytest.raises(RecipeError, match="does not run on cpu"):
        set_up.run(context)
        run.run(context)


@pytest.mark.parametrize(
    ("recipe", "kind", "taken"),
    [
        ({}, "float32", "float32"),
        ({"quantization": "nf4"}, "bfloat16", "nf4, computed in bfloat16"),
        ({"tuner": {"kind": "full"}}, "bfloat16", "float32, computed in bfloat16"),
    ],
)
def test_it_is_said_how_the_base_is_kept(
    recipe: dict[str, Any], kind: str, taken: str, make_context: Callable[..., Context]
) -> None:
    import torch

    path = load.base_path(make_context(**recipe).spec, "cuda", getattr(torch, kind))
    assert path.taken == taken and path.fastest and path.why


def test_weights_that_are_trained_themselves_are_float32(make_context: Callable[..., Context]) -> None:
    import torch

    for kind, dtype in (("full", torch.float32), ("lora", torch.bfloat16)):
        assert load.weights_dtype(make_context(tuner={"kind": kind}).spec, torch.bfloat16) == dtype


def test_a_base_in_4_bits_takes_the_bytes_its_card_says(tiny_model: Path) -> None:
    import torch

    model = load.model(tiny_model, "cpu", torch.float32, "nf4")
    layer = model.model.layers[0].mlp.up_proj
    state = layer.weight.quant_state
    stored = layer.weight.nbytes + state.absmax.nbytes + state.state2.absmax.nbytes
    said = quants.cards()["nf4"].bytes_a_weight
    assert said is not None
    # A layer this small has one block of scales where a large one has many.
    assert stored == pytest.approx(said * 32 * 64, rel=0.02)
    assert set(tuners.cards()) == {"lora", "full"}
