"""Memory by component adds up to the tensors that are there; what backward keeps is seen while it is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.daemon.worker.train import memory

FLOAT32 = 4


def layers(width: int = 8) -> Any:
    import torch

    return torch.nn.Sequential(torch.nn.Linear(width, width, bias=False), torch.nn.Linear(width, width, bias=False))


def test_frozen_and_trained_weights_are_told_apart() -> None:
    model = layers()
    model[0].weight.requires_grad_(False)
    base, adapter = memory.weights(model)
    assert memory.total(base) == memory.total(adapter) == 8 * 8 * FLOAT32


def test_a_model_that_trains_whole_has_no_adapter() -> None:
    base, adapter = memory.weights(layers())
    assert memory.total(base) == 2 * 8 * 8 * FLOAT32
    assert adapter == []


def test_tied_weights_and_views_count_once() -> None:
    model = layers()
    model[1].weight = model[0].weight
    assert memory.total([*memory.weights(model)[0], model[0].weight[:2]]) == 8 * 8 * FLOAT32


def test_an_optimizers_state_is_found() -> None:
    import torch

    model = layers()
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 8)).sum().backward()
    optimizer.step()
    found = memory.total(memory.tensors_in(list(optimizer.state.values())))
    assert found == 2 * (2 * 8 * 8 + 1) * FLOAT32  # two moments and the step, for two weights


def test_what_backward_keeps_is_counted_until_it_is_let_go() -> None:
    import torch

    model = layers()
    with memory.kept_for_backward(model) as kept:
        for rows in (3, 5):  # one after the other: the larger counts
            loss = model(torch.ones(rows, 8)).square().sum()
            # Inputs of both layers, and the output that is squared; never the weights.
            assert kept.now == 3 * rows * 8 * FLOAT32
            loss.backward()
            del loss
            assert kept.now == 0
    assert kept.most == 3 * 5 * 8 * FLOAT32


def test_counting_changes_no_gradient() -> None:
    import torch

    torch.manual_seed(0)
    model, rows = layers(), torch.randn(4, 8)
    model(rows).square().sum().backward()
    plain = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    with memory.kept_for_backward(model):
        model(rows).square().sum().backward()
    assert all(torch.equal(weight.grad, before) for weight, before in zip(model.parameters(), plain, strict=True))


def test_checkpointed_layers_keep_their_inputs() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    model = LlamaForCausalLM(config).train()
    most = []
    for checkpointed in (False, True):
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        with memory.kept_for_backward(model) as kept:
            model(input_ids=torch.arange(16)[None], use_cache=False).logits.sum().backward()
            most.append(kept.most)
    assert 2 * 16 * 32 * FLOAT32 <= most[1] < most[0] / 3


def test_the_peak_is_at_least_what_is_resident() -> None:
    import psutil

    assert memory.peak("cpu") == pytest.approx(psutil.Process().memory_info().rss, rel=0.9)
