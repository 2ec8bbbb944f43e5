"""From what does not fit to values that would: each was forecast, and what costs the result most comes last."""

from __future__ import annotations

import msgspec
import pytest

from tunesmith.recipes.models import catalogue
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import Change, Place, Rows, fit, forecast, shrunk
from tunesmith.recipes.planner.plans import Way
from tunesmith.recipes.planner.shrink import with_changes
from tunesmith.recipes.planner.ways import hint, needs, sets, ways, ways_out
from tunesmith.recipes.spec import JobSpec, TrainingSpec, complete

GB = 10**9
LENGTH = "training.max_length"
ROWS = Rows(rows=1000, longest=2048, mean=400.0, held_out=50)


@pytest.fixture(scope="module")
def facts() -> ModelFacts:
    return catalogue.find("qwen2.5-7b-instruct").facts


def values(way: Way) -> dict[str, str]:
    return {change.key: change.after for change in way.changes}


def gpu(size: int) -> Place:
    return Place(
        device="cuda", name="toy", dtype="bfloat16", memory_bytes=size, free_bytes=size, host_memory_bytes=128 * GB,
        host_free_bytes=128 * GB, disk_free_bytes=900 * GB, cores=8, runtime_bytes=2 * GB,
    )  # fmt: skip


def test_every_way_that_is_said_to_fit_does(facts: ModelFacts) -> None:
    spec, place = complete(JobSpec()), gpu(16 * GB)
    assert not fit(forecast(spec, facts, ROWS, place), place).holds
    found = ways_out(spec, facts, ROWS, place)
    fitting = [way for way in found if way.fits]
    assert fitting and all(way.needed <= 16 * GB and way.what == "device" for way in fitting)
    assert any(values(way) == {"quantization": "nf4"} for way in fitting)


def test_where_nothing_alone_suffices_several_are_taken_together(facts: ModelFacts) -> None:
    spec, place = complete(JobSpec()), gpu(9 * GB)
    *single, together = ways_out(spec, facts, ROWS, place)
    assert not any(way.fits for way in single)
    assert together.fits and together.needed <= 9 * GB and values(together)["quantization"] == "nf4"
    keys = [change.key for change in together.changes]
    assert len(keys) == len(set(keys)) > 1


def test_rows_are_cut_only_where_nothing_else_helps(facts: ModelFacts) -> None:
    long = msgspec.structs.replace(ROWS, longest=32_000, mean=100.0)
    *_, together = ways_out(complete(JobSpec()), facts, long, gpu(10 * GB))
    assert together.fits and values(together)["data.over_long"] == "drop"
    assert int(values(together)["training.max_length"]) >= long.mean
    *_, roomy = ways_out(complete(JobSpec()), facts, ROWS, gpu(10 * GB))
    assert roomy.fits and "training.max_length" not in values(roomy)


def test_what_fits_nowhere_has_no_way(facts: ModelFacts) -> None:
    assert not any(way.fits for way in ways_out(complete(JobSpec()), facts, ROWS, gpu(2 * GB)))


def test_full_training_is_led_to_an_adapter(facts: ModelFacts) -> None:
    full = complete(JobSpec(tuner={"kind": "full"}, exports=("merged",)))
    assert any(values(way) == {"tuner.kind": "lora"} for way in ways_out(full, facts, ROWS, gpu(40 * GB)))


def test_a_stage_is_looked_at_alone(facts: ModelFacts) -> None:
    spec, place = complete(JobSpec()), gpu(80 * GB)
    for way in ways(spec, facts, ROWS, place, stage="train"):
        assert 0 < way.saved < forecast(spec, facts, ROWS, place).stage("train").device_bytes


def test_a_sentence_names_what_to_set() -> None:
    fits = Way((Change("quantization", "none", "nf4"),), "device", 5 * GB, 9 * GB, True)
    both = (Change("training.max_length", "2048", "512"), Change("training.batch_size", "8", "1"))
    other = Way(both, "device", 6 * GB, 8 * GB, True)
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


def test_a_shorter_length_leaves_rows_out_or_the_run_would_end_on_the_first(facts: ModelFacts) -> None:
    (first, *_) = [way for way in ways(complete(JobSpec()), facts, ROWS, gpu(16 * GB)) if LENGTH in values(way)]
    assert values(first)["data.over_long"] == "drop" and first.changes[0].before == "2048"
    cutting = msgspec.structs.replace(complete(JobSpec()).data, over_long="cut_right")
    spec = msgspec.structs.replace(complete(JobSpec()), data=cutting)
    (first, *_) = [way for way in ways(spec, facts, ROWS, gpu(16 * GB)) if LENGTH in values(way)]
    assert "data.over_long" not in values(first), "a person has said what happens to them"


def test_where_the_disk_is_short_ways_spare_the_disk(facts: ModelFacts) -> None:
    place = msgspec.structs.replace(gpu(80 * GB), disk_free_bytes=5 * GB)
    (way,) = ways_out(complete(JobSpec()), facts, ROWS, place)[:1]
    assert way.what == "disk" and way.fits and values(way) == {"exports": "[adapter]"}
    assert way.changes[0].before == "[adapter, merged, gguf:f16, gguf:q8_0]"


def test_only_what_can_be_set_is_offered(facts: ModelFacts) -> None:
    found = ways(complete(JobSpec()), facts, ROWS, gpu(16 * GB))
    assert [values(way) for way in sets(found, {"quantization"})] == [{"quantization": "nf4"}]
