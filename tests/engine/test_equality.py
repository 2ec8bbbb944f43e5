"""The training core computes what transformers and peft compute: the same loss, the same gradients, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import families
import plain
import pytest
from equality import LOSS, PACKABLE, ROWS, assert_equal, computed, each, expected, named

from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.kernels import products
from tunesmith.daemon.worker.train.paths import build
from tunesmith.recipes.spec import TrainingSpec


@each(PACKABLE)
def test_packed_is_the_plain_model_s_loss_and_gradients(family: families.Family) -> None:
    theirs = expected(families.adapted(family))
    ours, step, paths = computed(families.adapted(family))
    assert_equal(ours, theirs)
    assert paths["packing"].fastest and step.positions == step.tokens, paths["packing"].why
    assert 1 < len(step) < len(ROWS), "rows share windows, and there are several"


@each(list(families.FAMILIES))
def test_padded_is_the_plain_model_s_loss_and_gradients(family: families.Family) -> None:
    theirs = expected(families.adapted(family))
    ours, step, paths = computed(families.adapted(family), packing=False)
    assert_equal(ours, theirs)
    assert not paths["packing"].fastest and step.positions > step.tokens


@each(list(families.FAMILIES))
def test_fully_trained_it_is_the_plain_model_s_loss_and_gradients(family: families.Family) -> None:
    theirs = expected(families.base(family).requires_grad_(True).train())
    ours, _, paths = computed(families.base(family).requires_grad_(True).train())
    assert_equal(ours, theirs)
    here = not products.missing() and family.name != "gpt2"  # whose layers are Conv1D
    assert ("linear" in paths) == here and (not here or paths["linear"].taken.startswith("oneDNN"))


@pytest.mark.parametrize(("name", "tokens"), [("trained", 1024), ("adapter", 160)])
def test_a_window_is_as_large_as_going_over_all_weights_once_more_makes_it(name: str, tokens: int) -> None:
    (family,) = named("llama")
    model = families.adapted(family) if name == "adapter" else families.base(family).requires_grad_(True)
    assert computed(model, window=None)[2]["packing"].taken == f"windows of at most {tokens} tokens"


@each([family for family in families.FAMILIES if not family.packs] + list(families.HARD))
def test_a_family_that_cannot_be_packed_is_padded_and_says_why(family: families.Family) -> None:
    theirs = expected(families.adapted(family))
    ours, step, paths = computed(families.adapted(family))
    assert_equal(ours, theirs)
    assert all(window.segments is None for window in step)
    assert not paths["packing"].fastest and paths["packing"].why


@each(named("llama", "gemma3", "phi", "mixtral"))
def test_unfused_it_is_the_same(family: families.Family) -> None:
    theirs = expected(families.adapted(family))
    ours, _, paths = computed(families.adapted(family), fused=False)
    assert_equal(ours, theirs)
    assert not paths["lora"].fastest and "fused: false" in paths["lora"].why


@pytest.mark.parametrize("window", [1, 40, 100_000])
def test_the_window_changes_nothing(window: int) -> None:
    (family,) = named("mistral")
    ours, step, _ = computed(families.adapted(family), window=window)
    assert_equal(ours, expected(families.adapted(family)))
    assert len(step) == {1: len(ROWS), 100_000: 1}.get(window, len(step))


@each(named("llama", "llama_tied_bias", "qwen3", "gemma3", "phi", "mixtral", "granite"))
@pytest.mark.parametrize("packing", [True, False])
def test_with_every_weight_trained_it_is_the_same(family: families.Family, packing: bool) -> None:
    theirs = expected(families.base(family).train())
    ours, _, _ = computed(families.base(family).train(), packing=packing)
    assert_equal(ours, theirs)


@each(named("llama", "gemma3", "phi"))
def test_adapter_dropout_falls_where_peft_lets_it_fall(family: families.Family) -> None:
    import torch

    found = []
    for fused in (True, False):
        model = families.adapted(family, dropout=0.3)
        built = build(model, training=TrainingSpec(window=64, fused=fused), device="cpu", pad_token_id=0)
        step = built.step(ROWS)
        torch.manual_seed(7)
        losses = [built.summed_loss(window)[0] / step.labels for window in step]
        torch.autograd.backward(losses)
        built.unfuse()
        found.append((sum(loss.item() for loss in losses), plain.gradients(model)))
    assert_equal(found[0], found[1])
    without, _ = expected(families.adapted(family))
    assert abs(found[0][0] - without) > LOSS, "the dropout was real"


@each(named("llama", "gemma3"))
def test_a_recomputed_layer_drops_the_same(family: families.Family) -> None:
    import torch

    found = []
    for recomputed in (True, False):
        model = families.adapted(family, dropout=0.3)
        if recomputed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(7)
        found.append(computed(model)[0])
    assert_equal(found[0], found[1])


@each(named("llama", "qwen3", "gemma3", "phi", "mixtral"))
def test_in_bfloat16_it_is_as_near_to_float32_as_the_plain_model(family: families.Family) -> None:
    """Base in bfloat16, adapter in float32, under autocast, as a run in bfloat16 has it."""
    import torch

    def narrowed() -> Any:
        model = families.adapted(family)
        for weight in model.parameters():
            if not weight.requires_grad:
                weight.data = weight.data.bfloat16()
        return model

    def widened() -> Any:
        return narrowed().float()

    _, truth = expected(widened())
    with torch.autocast("cpu", torch.bfloat16):
        _, theirs = expected(narrowed())
        (_, ours), _, paths = computed(narrowed())
    assert paths["packing"].fastest and paths["lora"].taken.startswith("fused")
    off = [
        sum(float((found[name].float() - size).norm() / size.norm()) for name, size in truth.items()) / len(truth)
        for found in (ours, theirs)
    ]
    assert off[0] < 1.25 * off[1], f"off by {off[0]:.2%} on average, the plain model by {off[1]:.2%}"


@each(named("llama", "qwen2", "gemma3", "phi3"))
def test_over_a_base_in_4_bits_it_is_the_same(family: families.Family, tmp_path: Path) -> None:
    import torch

    families.base(family).save_pretrained(tmp_path)

    def quantized() -> Any:
        return families.with_adapter(load.model(tmp_path, "cpu", torch.float32, "nf4"))

    theirs = expected(quantized())
    ours, _, paths = computed(quantized())
    assert_equal(ours, theirs)
    assert paths["packing"].fastest and paths["lora"].fastest
    assert abs(theirs[0] - expected(families.adapted(family))[0]) > LOSS, "4 bits are not 32"


@each(named("llama", "qwen3", "gemma3", "phi3", "mixtral"))
def test_with_gradient_checkpointing_it_is_the_same(family: families.Family) -> None:
    model = families.adapted(family)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    ours, _, paths = computed(model)
    assert_equal(ours, expected(families.adapted(family)))
    assert paths["packing"].fastest and paths["lora"].taken.startswith("fused")
