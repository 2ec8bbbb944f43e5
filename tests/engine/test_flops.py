"""Useful operations are those of the matrix products that a plain model really runs, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from families import FAMILIES
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.daemon.worker.train import flops

LENGTH = 24
EXACT = ("llama", "qwen2", "qwen3", "gemma", "phi3", "mixtral")  # no window below LENGTH, one attention for all layers


def counted(model: Any) -> tuple[int, float]:
    """Operations that torch counts in one plain step over a row, and ours for the same.

    torch counts every query with every key; ours has causal pairs, so the difference is put back.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    summary = flops.summarize(model)
    ids = torch.arange(LENGTH)[None] + 3
    with FlopCounterMode(display=False) as counter:
        logits = model(input_ids=ids, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits[0], ids[0]).backward()  # type: ignore[no-untyped-call]
    per_pair = sum(kind.per_pair for kind in summary.attention)
    causal = flops.useful(summary, [LENGTH], LENGTH)
    return counter.get_total_flops(), causal + per_pair * (LENGTH**2 - flops.triangle(LENGTH))


def small(name: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    made = next(family for family in FAMILIES if family.name == name).config()
    # torch does not count grouped products of experts.
    return AutoModelForCausalLM.from_config(made, attn_implementation="eager", experts_implementation="eager")


@pytest.mark.parametrize("name", EXACT)
def test_an_adapter_costs_what_torch_counts(name: str) -> None:
    from peft import LoraConfig, get_peft_model

    # On experts peft adds the adapter to all their weights first, which is not the work that is needed.
    where = ["q_proj", "k_proj", "v_proj", "o_proj"] if name == "mixtral" else "all-linear"
    model = get_peft_model(small(name), LoraConfig(r=4, target_modules=where, task_type="CAUSAL_LM"))
    torchs, ours = counted(model)
    assert ours == torchs


@pytest.mark.parametrize("name", EXACT)
def test_training_every_weight_costs_what_torch_counts(name: str) -> None:
    torchs, ours = counted(small(name))
    assert ours == torchs


def test_layers_below_the_first_trained_one_need_no_backward() -> None:
    from peft import LoraConfig, get_peft_model

    where = r".*layers\.1\..*(q|k|v|down)_proj"
    settings = LoraConfig(r=4, target_modules=where, task_type="CAUSAL_LM")
    torchs, ours = counted(get_peft_model(small("llama"), settings))
    assert ours == torchs


def test_a_window_or_chunk_counts_only_what_is_attended() -> None:
    assert flops.pairs(5, flops.Attention(None, None, 1)) == 15
    assert flops.pairs(5, flops.Attention(2, None, 1)) == 1 + 2 + 2 + 2 + 2
    assert flops.pairs(5, flops.Attention(None, 2, 1)) == 3 + 3 + 1


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(1, 64))
def test_pairs_are_those_of_a_mask_made_by_hand(lengths: list[int], window: int) -> None:
    for length in lengths:
        seen = sum(min(place + 1, window) for place in range(length))
        assert flops.pairs(length, flops.Attention(window, None, 1)) == seen


def test_rows_cost_the_same_however_they_are_laid_out() -> None:
    summary = flops.Summary(10.0, 7, (flops.Attention(None, None, 3),))
    assert flops.useful(summary, [2, 3], 4) == 50 + 28 + 3 * (3 + 6)
    assert flops.useful(summary, [5], 4) > flops.useful(summary, [2, 3], 4)
