"""From what does not fit to values that would: each was forecast, and what costs the result most comes last."""

from __future__ import annotations

import msgspec
import pytest

from tunesmith.recipes.models import catalogue
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import Change, Place, Rows, fit, forecast, shrunk
from tunesmith.recipes.planner.advice import Way, hint, needs, ways, with_changes
from tunesmith.recipes.spec import JobSpec, TrainingSpec, complete

GB = 10**9
ROWS = Rows(rows=1000, longest=2048, mean=400.0, held_out=50)


@pytest.fixture(scope="module")
def facts() -> ModelFacts:
    return catalogue.find("qwen2.5-7b-instruct").facts


def gpu(size: int) -> Place:
    return Place(
        device="cuda", name="toy", dtype="bfloat16", memory_bytes=size, free_bytes=size, host_memory_bytes=128 * GB,
        host_free_bytes=128 * GB, disk_free_bytes=900 * GB, cores=8, runtime_bytes=2 * GB,
    )  # fmt: skip


def test_every_way_that_is_said_to_fit_does(facts: ModelFacts) -> None:
    spec, place = complete(JobSpec()), gpu(16 * GB)
    assert not fit(forecast(spec, facts, ROWS, place), place).holds
    found = ways(spec, facts, ROWS, place)
    fitting = [way for way in found if way.fits]
    assert fitting and all(way.needed <= 16 * GB and way.what == "device" for way in fitting)
    assert any("quantization: nf4" in way.values for way in fitting)


def test_where_nothing_alone_suffices_several_are_taken_together(facts: ModelFacts) -> None:
    spec, place = complete(JobSpec()), gpu(9 * GB)
    *single, together = ways(spec, facts, ROWS, place)
    assert not any(way.fits for way in single)
    assert together.fits and together.needed <= 9 * GB and "quantization: nf4" in together.values
    keys = [value.partition(":")[0] for value in together.values]
    assert len(keys) == len(set(keys)) > 1


def test_rows_are_cut_only_where_nothing_else_helps(facts: ModelFacts) -> None:
    long = msgspec.structs.replace(ROWS, longest=32_000, mean=100.0)
    *_, together = ways(complete(JobSpec()), facts, long, gpu(10 * GB))
    assert together.fits and any(value.startswith("training.max_length") for value in together.values)
    *_, roomy = ways(complete(JobSpec()), facts, ROWS, gpu(10 * GB))
    assert roomy.fits and not any(value.startswith("training.max_length") for value in roomy.values)


def test_what_fits_nowhere_has_no_way(facts: ModelFacts) -> None:
    assert not any(way.fits for way in ways(complete(JobSpec()), facts, ROWS, gpu(2 * GB)))


def test_full_training_is_led_to_an_adapter(facts: ModelFacts) -> None:
    full = complete(JobSpec(tuner={"kind": "full"}, exports=("merged",)))
    assert any("tuner.kind: lora" in way.values for way in ways(full, facts, ROWS, gpu(40 * GB)))


def test_a_stage_is_looked_at_alone(facts: ModelFacts) -> None:
    spec, place = complete(JobSpec()), gpu(80 * GB)
    for way in ways(spec, facts, ROWS, place, stage="train"):
        assert 0 < way.saved < forecast(spec, facts, ROWS, place).stage("train").device_bytes


def test_a_sentence_names_what_to_set() -> None:
    fits = Way(("quantization: nf4",), "device", 5 * GB, 9 * GB, True)
    other = Way(("training.max_length: 512", "training.batch_size: 1"), "device", 6 * GB, 8 * GB, True)
    assert hint((fits, other)) == (
        "It would fit with quantization: nf4 (needs 5.0 GB); "
        "or with training.max_length: 512 and training.batch_size: 1 (needs 6.0 GB)."
    )
    assert hint((msgspec.structs.replace(fits, fits=False),)) == "Set quantization: nf4 (9.0 GB less)."
    assert hint(()) == ""


def test_changes_are_put_in_with_their_own_types(facts: ModelFacts) -> None:
    spec = complete(JobSpec())
    wanted, changes = shrunk(spec, facts, msgspec.structs.replace(ROWS, longest=100), gpu(80 * GB))
    assert {change.key for change in changes} == {"training.window", "training.gradient_checkpointing"}
    assert with_changes(spec, changes) == with_changes(wanted, changes) == wanted
    assert with_changes(spec, [Change("training.window", "auto", "64")]).training == TrainingSpec(window=64)


def test_disk_is_needed_beside_memory(facts: ModelFacts) -> None:
    place = gpu(80 * GB)
    assert set(needs(forecast(complete(JobSpec()), facts, ROWS, place), place)) == {"device", "host", "disk"}
