"""The training core computes what transformers and peft compute: the same loss, the same gradients, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import families
import plain
import pytest

from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.packing.windows import Row, Step, Window
from tunesmith.daemon.worker.train.paths import build
from tunesmith.recipes.spec import TrainingSpec

LOSS = 1e-5  # largest difference, in nats
GRADIENT = 1e-5  # largest norm of the difference over the norm, for every tensor that trains
ROWS = plain.rows(6, vocabulary=families.VOCABULARY) + plain.odd_rows(families.VOCABULARY)
PACKABLE = [family for family in families.FAMILIES if family.packs]
Gradients = dict[str, Any]


def named(*names: str) -> list[families.Family]:
    return [family for family in families.FAMILIES if family.name in names]


def each(chosen: list[families.Family]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("family", chosen, ids=lambda family: family.name)


def expected(model: Any, rows: list[Row] = ROWS) -> tuple[float, Gradients]:
    return plain.step(model, rows), plain.gradients(model)


def computed(
    model: Any, rows: list[Row] = ROWS, **training: Any
) -> tuple[tuple[float, Gradients], Step, dict[str, PathTaken]]:
    """Loss and gradients of a step by the core, its windows, and the paths by part."""
    built = build(model, training=TrainingSpec(**{"window": 64} | training), device="cpu", pad_token_id=0)
    try:
        step, loss = built.step(rows), 0.0
        for window in step:
            summed, right = built.summed_loss(window)
            assert 0 <= int(right) <= window.labels
            if window.labels:
                (summed / step.labels).backward()
            loss += float(summed.detach()) / step.labels
    finally:
        built.unfuse()
    return (loss, plain.gradients(model)), step, {path.part: path for path in built.paths}


def assert_equal(ours: tuple[float, Gradients], theirs: tuple[float, Gradients]) -> None:
    assert ours[0] == pytest.approx(theirs[0], abs=LOSS)
    assert ours[1].keys() == theirs[1].keys()
    off = {name: float((ours[1][name] - size).norm() / size.norm()) for name, size in theirs[1].items()}
    worst = max(off, key=lambda name: off[name])
    assert off[worst] < GRADIENT, f"the gradient of {worst} is off by {off[worst]:.1e} of its norm"


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
