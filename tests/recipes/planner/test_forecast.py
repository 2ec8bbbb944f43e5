"""A forecast counts every byte it can name, answers at once, and never says less for more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes import methods, models, planner, spec
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import Place, Rows, computed, forecast, kernels, memory, probed, stages

GIB = 1 << 30
QWEN = catalogue.facts_of("qwen2.5-0.5b-instruct")
LLAMA = catalogue.facts_of("llama-3.1-8b-instruct")
ROWS = Rows(rows=1000, longest=512, mean=300.0, held_out=50)


def place(device: str = "cpu", free: int = 64 * GIB, dtype: str = "float32") -> Place:
    return Place(
        device=device, name=device, dtype=dtype, memory_bytes=free, free_bytes=free, host_memory_bytes=64 * GIB,
        host_free_bytes=64 * GIB, disk_free_bytes=1000 * GIB, cores=2, runtime_bytes=560 << 20,
    )  # fmt: skip


def job(**parts: Any) -> spec.JobSpec:
    return spec.complete(msgspec.convert({"exports": ["merged"]} | parts, spec.JobSpec))


def part(found: planner.Forecast, key: str) -> int:
    return next(part.bytes for part in found.parts if part.key == key)


def test_parts_are_the_arithmetic_of_the_method() -> None:
    found = forecast(job(tuner={"kind": "lora", "rank": 8}), QWEN, ROWS, place())
    assert part(found, "weights") == QWEN.parameters * 4
    # Two narrow matrices beside each of the seven linear layers of 24 layers.
    widths = 2 * (896 + 896) + 2 * (896 + 128) + 3 * (896 + 4864)
    assert part(found, "adapter") == 24 * 8 * widths * 4
    assert part(found, "gradients") == part(found, "adapter")
    assert part(found, "optimizer") == 2 * part(found, "adapter"), "two moments in float32"


def test_a_base_in_4_bits_keeps_its_embeddings_and_takes_4_127_bits_a_linear_weight() -> None:
    found = forecast(job(quantization="nf4"), LLAMA, ROWS, place("cuda", dtype="bfloat16"))
    linear = LLAMA.linear_parameters
    assert part(found, "weights") == pytest.approx(linear * 4.127 / 8 + (LLAMA.parameters - linear) * 2, rel=1e-4)


def test_full_training_keeps_float32_weights_gradients_and_two_moments() -> None:
    found = forecast(job(tuner={"kind": "full"}), QWEN, ROWS, place())
    assert part(found, "gradients") == part(found, "weights") == QWEN.parameters * 4
    assert part(found, "optimizer") == 2 * part(found, "weights")


def test_logits_exist_a_chunk_at_a_time_however_long_the_rows() -> None:
    """Qwen2.5-0.5B, 8 rows of 512 tokens: the logits of all would be 8.7 GB with their copies."""
    long = Rows(rows=1000, longest=4096, mean=3000.0)
    logits = [part(forecast(job(), QWEN, rows, place("cuda", dtype="bfloat16")), "logits") for rows in (ROWS, long)]
    assert all(size <= 1.5 * computed.OTHER_LOGITS_BYTES for size in logits)


def test_checkpointed_layers_keep_their_input_and_one_of_them_all() -> None:
    off, full = (
        part(forecast(job(training={"gradient_checkpointing": how}), LLAMA, ROWS, place()), "activations")
        for how in ("off", "full")
    )
    assert full < off / 8


def test_auto_checkpoints_as_many_layers_as_free_memory_asks_for() -> None:
    rows = Rows(rows=1000, longest=8192, mean=8000.0)
    amounts = [forecast(job(), QWEN, rows, place(free=size * GIB)).recomputed for size in (5, 8, 64)]
    assert amounts[0] > amounts[1] > amounts[2] == 0


def test_free_memory_counts_not_total() -> None:
    found = forecast(job(quantization="nf4"), LLAMA, ROWS, place("cuda", 24 * GIB, "bfloat16"))
    taken = msgspec.structs.replace(place("cuda", 24 * GIB, "bfloat16"), free_bytes=6 * GIB)
    assert planner.fit(found, place("cuda", 24 * GIB, "bfloat16")).verdict == "fits"
    missing = planner.fit(found, taken)
    assert not missing.holds and missing.short[0] == ("device", found.device_bytes - 6 * GIB)


def test_where_nobody_looked_at_the_data_the_range_is_wider_and_it_says_so() -> None:
    known, assumed = forecast(job(), QWEN, ROWS, place()), forecast(job(), QWEN, planner.ASSUMED, place())
    assert (known.level, assumed.level) == ("counted", "assumed")
    assert assumed.memory_spread > known.memory_spread and assumed.time_spread > known.time_spread


def test_an_architecture_nobody_knows_widens_the_range() -> None:
    odd = msgspec.structs.replace(QWEN, known=False)
    assert forecast(job(), odd, ROWS, place()).memory_spread > forecast(job(), QWEN, ROWS, place()).memory_spread


def test_the_probe_replaces_memory_and_time_of_training_and_nothing_else() -> None:
    counted = forecast(job(), QWEN, ROWS, place())
    after = probed(counted, peak_bytes=3 * GIB, step_seconds=2.0, steps=40, growing_bytes=0)
    assert after.level == "probed"
    assert 3 * GIB <= after.stage("train").host_bytes <= 3.15 * GIB
    assert after.stage("train").seconds == 80.0
    assert after.stage("verify") == counted.stage("verify")
    assert sum(part.bytes for part in after.parts) == pytest.approx(after.stage("train").host_bytes, rel=0.01)


@given(
    batch=st.integers(1, 64),
    rank=st.sampled_from([4, 16, 64]),
    longest=st.integers(16, 8192),
    share=st.floats(0.05, 1.0),
    tuner=st.sampled_from(["lora", "full"]),
    device=st.sampled_from(["cpu", "cuda", "mps"]),
)
def test_more_never_needs_less(batch: int, rank: int, longest: int, share: float, tuner: str, device: str) -> None:
    """Of batch, length or rank; each part adds up to the whole and none is negative."""
    where = place(device, 64 * GIB, "bfloat16" if device == "cuda" else "float32")
    rows = Rows(rows=1000, longest=longest, mean=max(1.0, longest * share))

    def run(batch: int, rank: int, rows: Rows) -> planner.Forecast:
        knobs = {"kind": "lora", "rank": rank} if tuner == "lora" else {"kind": "full"}
        training = {"batch_size": batch, "gradient_checkpointing": "off"}
        return forecast(job(tuner=knobs, training=training), QWEN, rows, where)

    one = run(batch, rank, rows)
    assert all(part.bytes >= 0 for part in one.parts)
    assert one.tokens >= longest
    assert one.bytes >= sum(part.bytes for part in one.parts if part.key in ("weights", "adapter", "optimizer"))
    longer = msgspec.structs.replace(rows, longest=2 * longest, mean=2 * rows.mean)
    # But for the kernels kept: rows of one length meet fewer numbers of rows.
    assert run(batch, rank, longer).stage("train").host_bytes >= 0.98 * one.stage("train").host_bytes
    assert run(batch, 2 * rank, rows).bytes >= one.bytes
    assert one.steps == 3 * -(-1000 // batch)


def test_every_model_of_the_catalogue_is_forecast() -> None:
    """How soon, bench/plan.py measures: a badge beside each of them is drawn on every key press."""
    entries = catalogue.catalogue()
    facts = [entry.facts for entry in entries]
    recipe, where = job(), place("cuda", 24 * GIB, "bfloat16")
    found = [forecast(recipe, one, ROWS, where) for one in facts]
    assert len(found) == len(entries) >= 80
    assert all(one.bytes > one_facts.parameters for one, one_facts in zip(found, facts, strict=True))


def test_the_largest_window_is_the_longest_row_or_what_rows_fill() -> None:
    cpu = place()
    assert memory.window_tokens(job(), Rows(rows=100, longest=900, mean=100.0), cpu) == 900
    assert memory.window_tokens(job(), Rows(rows=100, longest=90, mean=80.0), cpu) == 160
    assert memory.window_tokens(job(training={"batch_size": 1}), Rows(rows=100, longest=90, mean=80.0), cpu) == 90


def test_kernels_are_counted_for_the_numbers_of_rows_that_windows_have() -> None:
    """Windows of like size, none below half of what fits: 9 numbers from 512 to 1024. A step's only one has any."""
    rows = Rows(rows=1000, longest=1000, mean=560.0)

    def numbers(batch: int, kind: str = "lora") -> int:
        recipe = job(tuner={"kind": kind}, training={"batch_size": batch, "gradient_accumulation": 1, "window": 1024})
        return memory.parts(recipe, QWEN, rows, place()).kernels // kernels.bytes_of_a_number(QWEN)

    assert numbers(8) == len({computed.filled_rows(count) for count in range(512, 1025)}) == 9
    assert numbers(1) > numbers(8), "a step of one row has a window of any length"
    assert memory.parts(job(), QWEN, rows, place("cuda", dtype="bfloat16")).kernels == 0


def test_layers_computed_again_leave_holes_where_their_blocks_lie_in_the_heap() -> None:
    def holes(recomputed: int, longest: int) -> float:
        recipe, rows = job(), Rows(rows=1000, longest=longest, mean=0.7 * longest)
        parts = msgspec.structs.replace(memory.parts(recipe, QWEN, rows, place()), recomputed=recomputed)
        return stages.holes(recipe, QWEN, place(), parts)

    assert holes(24, 200) > holes(12, 200) > holes(0, 200)
    assert holes(24, 2000) == holes(0, 2000)


def test_a_gguf_has_its_size_by_type_and_disk_holds_everything_at_once() -> None:
    disks = [forecast(job(exports=[*targets]), QWEN, ROWS, place()).disk_bytes for targets in ((), ("gguf:f16",))]
    assert disks[1] - disks[0] == pytest.approx(2 * 2 * QWEN.parameters, rel=0.01), "merged for it, and itself"
    adapter = forecast(job(exports=["adapter"]), QWEN, ROWS, place()).disk_bytes
    assert adapter - disks[0] < 0.1 * 2 * QWEN.parameters, "where only the adapter is exported nothing is merged"


def test_models_read_from_a_folder_know_how_their_weights_are_stored() -> None:
    stored = models.Stored(QWEN.parameters, QWEN.parameters * 2, ("BF16",), 1)
    assert memory.stored_width(msgspec.structs.replace(QWEN, stored=stored)) == 2.0


def test_pairs_of_answers_are_twice_the_rows_and_a_reference_is_a_copy_only_of_what_is_trained_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As DPO has it: a method says so in its card, and nothing else changes."""
    pairs = msgspec.structs.replace(methods.cards()["sft"], sequences=2, reference=True)
    rows = Rows(rows=1000, longest=60, mean=40.0)  # two of them fill no window
    adapter, full = job(training={"batch_size": 1}), job(training={"batch_size": 1}, tuner={"kind": "full"})
    before = [forecast(one, QWEN, rows, place()) for one in (adapter, full)]
    monkeypatch.setattr(methods, "cards", lambda: {"sft": pairs})
    after = [forecast(one, QWEN, rows, place()) for one in (adapter, full)]
    assert before[0].tokens < after[0].tokens <= 2 * before[0].tokens
    assert part(after[0], "weights") == part(before[0], "weights"), "the adapter is switched off for it"
    assert part(after[1], "weights") == 2 * part(before[1], "weights")
    assert after[0].step_seconds == pytest.approx(before[0].step_seconds * 2 * 4 / 3)


def test_what_comes_after_the_probe_is_more_where_layers_are_computed_again_and_never_nothing() -> None:
    def grown(device: str, again: str = "off", kernels: int = 0, tuner: str = "lora", rows: Rows = ROWS) -> int:
        where = place(device)
        one = {"batch_size": 1, "gradient_accumulation": 1, "gradient_checkpointing": again}
        parts = memory.parts(job(tuner={"kind": tuner}, training=one), QWEN, rows, where)
        return stages.growing(where, QWEN, parts, kernels=kernels, peak_bytes=4 * GIB)

    assert 0 < grown("cpu") < grown("cpu", "selective") < grown("cpu", "full") < GIB
    assert grown("cpu", kernels=40_000_000) == grown("cpu") + 40_000_000
    short = Rows(rows=1000, longest=60, mean=40.0)  # whose blocks lie in the heap
    long = Rows(rows=1000, longest=2000, mean=1500.0)  # whose blocks do not
    assert grown("cpu", rows=short) > grown("cpu", rows=long)
    assert grown("cpu", tuner="full", rows=short) > grown("cpu", rows=short), "gradients come between"
    assert grown("cpu", tuner="full", rows=long) == grown("cpu", rows=long)
    assert grown("cuda", kernels=40_000_000) == pytest.approx(0.025 * 4 * GIB, rel=1e-6)


def test_an_export_or_an_evaluation_of_a_run_is_forecast_by_its_own_stages() -> None:
    def of(task: str, *targets: str) -> planner.Forecast:
        return forecast(job(task=task, of="/run/artifacts", exports=list(targets)), LLAMA, ROWS, place())

    exported, evaluated = of("export", "gguf:q4_k_m", "gguf:q6_k"), of("evaluate", "merged")
    assert [stage.stage for stage in exported.stages if stage.stage != "fetch"] == ["prepare", "export", "verify"]
    assert [stage.stage for stage in evaluated.stages if stage.stage != "fetch"] == ["prepare", "evaluate"]
    assert exported.steps == evaluated.steps == 0 and exported.device_bytes == 0
    # The merged model, what it is quantized from, and two files of 5 and 6.6 bits a weight.
    written = LLAMA.parameters * (2 + 2 + (4.8944 + 6.5633) / 8)
    assert exported.stage("export").disk_bytes == pytest.approx(written, rel=0.01)
    assert evaluated.disk_bytes == LLAMA.to_fetch
    assert of("export", "adapter").host_bytes < exported.host_bytes


def test_benchmarks_take_the_time_of_their_questions_in_a_training_and_by_themselves() -> None:
    def seconds(task: str = "train", **asked: Any) -> float:
        of = None if task == "train" else "/artifacts"
        found = forecast(job(task=task, of=of, benchmark=asked), QWEN, ROWS, place())
        return found.stage("benchmark" if task == "train" else "evaluate").seconds

    whole, half = seconds(suites=("mmlu",)), seconds(suites=("mmlu",), limit=50)
    assert whole == pytest.approx(half * 14042 / (57 * 50))
    assert seconds(suites=("mmlu",), limit=50, base=True) == pytest.approx(2 * half)
    assert seconds("benchmark", suites=("mmlu",)) == pytest.approx(whole)
    both = seconds(suites=("mmlu", "gsm8k", "/own.jsonl"), limit=50)
    assert both > half + seconds(suites=("gsm8k",), limit=50), "a file counts too, though nobody has looked into it"


def test_an_adapter_is_merged_in_pieces_however_large_the_base() -> None:
    moe = catalogue.facts_of("Qwen/Qwen3-30B-A3B")

    def merging(facts: models.ModelFacts) -> float:
        return stages.merging(job(task="export", of="/run/artifacts"), facts, place())

    assert merging(QWEN) < merging(LLAMA) < 0.3 * GIB, "an adapter of rank 8 and a few matrices' pieces"
    assert 1 * GIB < merging(moe) < 2 * GIB, "the adapters of its 6,144 experts, and nothing of the 61 GB"
    several = job(task="merge", of="/run/artifacts", adapters=[{"path": "/adapter"}] * 3)
    assert stages.merging(several, LLAMA, place()) == 3 * merging(LLAMA)
    assert stages.merging(job(exports=["adapter"]), LLAMA, place()) == 0
    exported = forecast(job(task="export", of="/run/artifacts"), LLAMA, ROWS, place())
    assert exported.stage("export").host_bytes < 1 * GIB
