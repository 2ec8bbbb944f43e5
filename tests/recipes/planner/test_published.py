"""Our memory arithmetic is true of runs that others measured and published."""

from __future__ import annotations

import statistics
from collections import Counter

import msgspec
import published_runs
import pytest

from tunesmith.recipes.models import from_config
from tunesmith.recipes.planner import plain

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}
LORA = plain.Engine(rank=4, dropout=0.05, adapted=frozenset({"query", "value"}), chunk=128, logits_held=True)


def test_forecasts_are_near_what_others_measured() -> None:
    rows = published_runs.compared()
    errors = [abs(row.error) for row in rows]
    assert len(rows) >= 15
    assert statistics.median(errors) <= 0.05 and max(errors) <= 0.10, "\n" + published_runs.table(rows)


def test_adapters_have_the_weights_that_the_sources_count() -> None:
    counted = [row for row in published_runs.compared() if row.row.trainable]
    assert counted and all(row.trainable == row.row.trainable for row in counted)


def test_no_run_is_there_twice() -> None:
    runs = Counter(msgspec.json.encode(row.row) for row in published_runs.compared())
    assert max(runs.values()) == 1


@pytest.mark.parametrize("rows", [1, 3])
def test_a_longer_row_needs_what_its_tokens_keep(rows: int) -> None:
    facts = from_config(LLAMA, "test")
    short, long = plain.need(facts, LORA, rows, 512), plain.need(facts, LORA, rows, 1024)
    assert long.weights == short.weights and long.optimizer == short.optimizer
    assert long.activations == 2 * short.activations


def test_chunks_spare_gradients_of_logits_and_a_name_keeps_them() -> None:
    facts = from_config(LLAMA, "test")
    at_once = plain.need(facts, msgspec.structs.replace(LORA, chunk=0), 1, 1024)
    dropped = plain.need(facts, msgspec.structs.replace(LORA, logits_held=False), 1, 1024)
    chunked = plain.need(facts, LORA, 1, 1024)
    logit = facts.vocabulary * plain.FLOAT32
    assert at_once.logits - chunked.logits == 2 * (1024 - 128) * logit
    assert chunked.logits - dropped.logits == 1024 * logit


def test_a_quantized_base_is_smaller_and_keeps_more_activations() -> None:
    facts = from_config(LLAMA, "test")
    quantized, before = msgspec.structs.replace(LORA, quantization="nf4"), 1024
    assert plain.need(facts, quantized, 1, 1024).weights < plain.need(facts, LORA, 1, 1024).weights
    assert plain.kept(facts, quantized) > plain.kept(facts, LORA)
    assert plain.need(facts, quantized, 1, 1024, before).bytes > plain.need(facts, quantized, 1, 1024).bytes
    assert plain.need(facts, LORA, 1, 1024, before).bytes == plain.need(facts, LORA, 1, 1024).bytes


def test_training_all_weights_peaks_in_the_optimizer_where_rows_are_short() -> None:
    facts = from_config(LLAMA, "test")
    full = plain.need(facts, plain.Engine(), 1, 1)
    assert full.activations == 0 and full.bytes == facts.parameters * 2 * 5
