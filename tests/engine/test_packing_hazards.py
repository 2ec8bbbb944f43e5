"""What could make packed sequences wrong unseen: neighbours, windows, rotations, dropout, proofs that are blind."""

from __future__ import annotations

from typing import Any

import families
import plain
import pytest
from equality import PACKABLE, ROWS, assert_equal, computed, each, expected, named

from tunesmith.daemon.worker.packing.windows import Window
from tunesmith.daemon.worker.train.paths import build
from tunesmith.recipes.spec import TrainingSpec


@each(named("llama", "mistral", "qwen3"))
def test_rows_longer_than_a_kernel_s_blocks_are_the_same(family: families.Family) -> None:
    rows = plain.rows(3, vocabulary=families.VOCABULARY, seed=8, shortest=500, longest=1200)
    ours, _, _ = computed(families.adapted(family), rows, window=2048)
    assert_equal(ours, expected(families.adapted(family), rows))


@each([*named("llama", "gemma3", "mistral", "granite", "gpt2", "mixtral"), *families.HARD[:3]])
def test_generation_beside_the_core_is_the_plain_model_s(family: families.Family) -> None:
    """Prompts of different length, padded on the left, with a cache: nothing of which is packed."""
    import torch

    prompts = torch.tensor([[0, 0, 0, 5, 6, 7], [9, 8, 7, 6, 5, 4]])
    given = {"input_ids": prompts, "attention_mask": (prompts != 0).long(), "max_new_tokens": 14, "do_sample": False}
    plainly = families.adapted(family).eval().generate(**given)
    model = families.adapted(family).eval()
    built = build(model, training=TrainingSpec(), device="cpu", pad_token_id=0)
    assert torch.equal(model.generate(**given), plainly)
    built.unfuse()


@each(named("llama", "granite"))
@pytest.mark.parametrize("packing", [True, False])
def test_a_step_without_labels_has_no_loss_and_moves_nothing(family: families.Family, packing: bool) -> None:
    model = families.adapted(family)
    built = build(model, training=TrainingSpec(packing=packing), device="cpu", pad_token_id=0)
    for window in built.step([(ids, mask & False) for ids, mask in ROWS]):
        summed, right = built.summed_loss(window)
        summed.backward()
        assert float(summed) == int(right) == 0
    built.unfuse()
    assert not any(weight.grad is not None and weight.grad.any() for weight in model.parameters())


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("scaling", ["longrope", "dynamic"])
def test_a_rotation_that_changes_with_the_longest_row_stays_each_row_s_own(scaling: str, packing: bool) -> None:
    """A row longer than the model was first trained on is turned otherwise; its neighbours are not."""
    rope: dict[str, Any] = {"rope_type": scaling, "rope_theta": 10000.0, "factor": 4.0}
    sizes = families.SIZES | {"max_position_embeddings": 256 if scaling == "longrope" else 30}
    if scaling == "longrope":
        rope |= {"short_factor": [1.0] * 8, "long_factor": [2.0 + place for place in range(8)]}
        rope |= {"original_max_position_embeddings": 30}
    family = families.Family(scaling, families.config("LlamaConfig", **sizes, rope_parameters=rope))
    ours, step, _ = computed(families.adapted(family), packing=packing)
    assert_equal(ours, expected(families.adapted(family)))
    assert [window.lengths for window in step if max(window.lengths) > 30] == [(35,)]


@each(PACKABLE)
def test_no_token_of_a_neighbour_is_seen(family: families.Family) -> None:
    """The loss of each row has a gradient of exactly nothing at its neighbours' embeddings."""
    import torch

    model = families.adapted(family)
    built = build(model, training=TrainingSpec(), device="cpu", pad_token_id=0)
    embedded: list[torch.Tensor] = []

    def keep(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    hook = model.get_input_embeddings().register_forward_hook(keep)
    rows = [(ids, mask | True) for ids, mask in plain.rows(4, vocabulary=families.VOCABULARY, seed=3, shortest=12)]
    for trained in range(len(rows)):
        window = Window([(ids, mask & (place == trained)) for place, (ids, mask) in enumerate(rows)])
        (seen,) = torch.autograd.grad(built.summed_loss(window)[0], embedded[-1])
        before = sum(window.lengths[:trained])
        own = slice(before, before + window.lengths[trained] - 1)
        reached = seen[0].abs().sum(-1) > 0
        assert reached[own].all() and int(reached.sum()) == window.lengths[trained] - 1
    hook.remove()
    built.unfuse()


def test_dropout_in_the_base_s_attention_is_refused_with_the_reason_not_met_in_training() -> None:
    family = families.Family(
        "starcoder2", families.config("Starcoder2Config", **families.SIZES, attention_dropout=0.1)
    )  # fmt: skip
    _, step, paths = computed(families.adapted(family))
    assert all(window.segments is None for window in step)
    assert "dropout" in paths["packing"].why


@pytest.mark.parametrize("kind", ["Qwen2MoeConfig", "PhimoeConfig"])
def test_a_window_that_only_the_mask_knows_is_not_lost(kind: str) -> None:
    """The window is longer than the sequences of the proof, so that the proof cannot see it, and shorter than rows."""
    experts = families.EXPERTS | {"num_experts": 4, "num_local_experts": 4, "moe_intermediate_size": 32}
    sliding: dict[str, Any] = {"sliding_window": 30, "use_sliding_window": True, "router_jitter_noise": 0.0}
    if kind == "Qwen2MoeConfig":
        sliding["layer_types"] = ["sliding_attention", "full_attention"]
    family = families.Family(kind, families.config(kind, **families.SIZES, **experts, **sliding))
    assert max(len(ids) for ids, _ in ROWS) > 30
    ours, _, paths = computed(families.base(family).train())
    assert_equal(ours, expected(families.base(family).train()))
    assert not paths["packing"].fastest and "sliding window" in paths["packing"].why


def test_a_wrong_adapter_path_is_caught_though_a_new_adapter_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new adapter's B is zero: the proof must not be blind to what goes through it."""
    import torch

    from tunesmith.daemon.worker.kernels import lora
    from tunesmith.recipes.tuners import cards

    whole = lora.forward

    def wrong(x: Any, weight: Any, bias: Any, part: lora.Adapter, adapted: Any) -> Any:
        return whole(x, weight, bias, part._replace(scale=2 * part.scale), adapted)

    monkeypatch.setattr(lora, "forward", wrong)
    (family,) = named("phi")
    model = cards()["lora"].attach(families.base(family), {"rank": 4, "alpha": 8, "dropout": 0.0}, 0)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    built = build(model, training=TrainingSpec(), device="cpu", pad_token_id=0)
    built.unfuse()
    (path,) = (path for path in built.paths if path.part == "lora")
    assert not path.fastest and "plain model" in path.why
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
