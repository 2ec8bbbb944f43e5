"""Gradient checkpointing changes memory and nothing else, and as many layers do it as memory asks for."""

from __future__ import annotations

import gc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.daemon.worker.train import gradient_checkpointing, paths
from tunesmith.daemon.worker.train.core import Core
from tunesmith.recipes import tuners
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.spec import TrainingSpec

LAYERS = 4
ROWS = [(np.arange(3, 3 + length), np.ones(length, bool)) for length in (40, 25, 12)]


def built(dropout: float = 0.0, attention: str = "sdpa", **training: Any) -> tuple[Core, TrainingSpec]:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        attn_implementation=attention,
    )
    adapted = tuners.cards()["lora"].attach(LlamaForCausalLM(config), {"rank": 4, "alpha": 8, "dropout": dropout}, 0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.train()
    spec = TrainingSpec(**training)
    return paths.build(adapted, training=spec, device="cpu", pad_token_id=0), spec


def gradients(ours: Core) -> dict[str, Any]:
    import torch

    torch.manual_seed(7)
    ours.model.zero_grad()
    for window in ours.step(ROWS):
        ours.summed_loss(window)[0].backward()
    return {name: value.grad.clone() for name, value in ours.model.named_parameters() if value.grad is not None}


def kept_bytes(ours: Core, tokens: int) -> int:
    """What is kept for backward of a sequence of `tokens`, by another count than the one that is tested."""
    import torch

    storages: dict[int, Any] = {}
    fixed = {value.untyped_storage().data_ptr() for value in (*ours.model.parameters(), *ours.model.buffers())}

    def pack(tensor: Any) -> Any:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = ours.summed_loss(gradient_checkpointing.probe(ours, tokens))[0]
        total: int = sum(storage.nbytes() for address, storage in storages.items() if address not in fixed)
    del loss
    return total


@pytest.mark.parametrize("wanted", ["selective", "full"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_are_those_without_checkpointing(wanted: str, dropout: float) -> None:
    import torch

    ours, spec = built(dropout, gradient_checkpointing=wanted)
    plain = gradients(ours)
    layers, path = gradient_checkpointing.choose(ours, spec, "cpu", 40, 128)
    assert layers == {"selective": LAYERS // 2, "full": LAYERS}[wanted]
    assert f"{layers} of {LAYERS}" in path.taken and wanted in path.why and not path.fastest
    again = gradients(ours)
    assert again.keys() == plain.keys() and len(plain) == LAYERS * 7 * 2
    assert all(torch.equal(again[name], plain[name]) for name in plain)


def test_with_enough_memory_nothing_is_computed_twice() -> None:
    ours, spec = built()
    layers, path = gradient_checkpointing.choose(ours, spec, "cpu", 40, 128, 10**9)
    assert (layers, path.taken, path.fastest) == (0, "kept", True)
    assert not any(layer.gradient_checkpointing for layer in gradient_checkpointing.checkpointable(ours.base))


def test_less_memory_asks_for_more_layers_until_all_do_it() -> None:
    ours, spec = built()
    tokens = 128
    kept = gradient_checkpointing.measure(ours, 40)
    chosen = []
    for layers in range(LAYERS + 1):
        needed = tokens * kept.total(gradient_checkpointing.spread(layers, LAYERS))
        free = int(needed / gradient_checkpointing.USABLE) + 1
        chosen.append(gradient_checkpointing.choose(ours, spec, "cpu", 40, tokens, free)[0])
    assert chosen[0] == 0 and chosen == sorted(chosen)
    assert gradient_checkpointing.choose(ours, spec, "cpu", 40, tokens, 0)[0] == LAYERS


def test_what_is_said_to_be_kept_is_what_backward_keeps() -> None:
    ours, _ = built()
    ours.model.train()
    kept = gradient_checkpointing.measure(ours, 160)
    more = kept_bytes(ours, 160) - kept_bytes(ours, 96)
    assert 64 * kept.total([]) == pytest.approx(more, rel=0.02)
    gradient_checkpointing.checkpoint(ours.base, range(LAYERS))
    assert kept_bytes(ours, 160) - kept_bytes(ours, 96) < more / 3


def test_attention_that_keeps_its_whole_matrix_is_counted() -> None:
    ours, _ = built(attention="eager", packing=False)
    ours.model.train()
    assert 160 * gradient_checkpointing.measure(ours, 160).total([]) == pytest.approx(kept_bytes(ours, 160), rel=0.05)


def test_measuring_keeps_no_activations() -> None:
    """Without waiting for the garbage collector: 55 MB on the starter model otherwise."""
    import torch

    ours, _ = built()
    gradient_checkpointing.measure(ours, 40)  # what is made once is there
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(value, torch.Tensor) for value in gc.get_objects())
        gradient_checkpointing.measure(ours, 40)
        assert sum(isinstance(value, torch.Tensor) for value in gc.get_objects()) == before
    finally:
        gc.enable()


def test_measuring_leaves_random_numbers_and_gradients_as_they_were() -> None:
    import torch

    ours, _ = built(dropout=0.3)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    gradient_checkpointing.measure(ours, 40)
    assert torch.equal(torch.rand(4), expected)
    assert all(parameter.grad is None for parameter in ours.model.parameters())


@given(st.integers(1, 90), st.data())
def test_checkpointed_layers_are_spread_evenly(count: int, data: st.DataObject) -> None:
    layers = data.draw(st.integers(0, count))
    places = gradient_checkpointing.spread(layers, count)
    assert len(places) == layers == len(set(places)) and all(0 <= place < count for place in places)
    steps = {after - before for before, after in pairwise(places)}
    assert not steps or max(steps) - min(steps) <= 1


def test_a_model_without_such_layers_is_refused_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, spec = built()
    monkeypatch.setattr(type(ours.base), "supports_gradient_checkpointing", False)
    layers, path = gradient_checkpointing.choose(ours, spec, "cpu", 40, 128, 0)
    assert layers == 0 and "LlamaForCausalLM" in path.why
    with pytest.raises(ModelError, match="LlamaForCausalLM"):
        gradient_checkpointing.choose(ours, TrainingSpec(gradient_checkpointing="full"), "cpu", 40, 128)
