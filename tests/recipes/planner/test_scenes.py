"""Scenes of hardware that is not here, each with the plan that 7 to 8, 1.5 and 0.5 billion parameters get, and why.

NVIDIA's GPUs through the real pynvml over a double of its library, Apple's and Ascend's through torch's surface, others
by key and by file. The computer around a GPU has 128 GB unless a test says otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from measuring_child import MEASURED
from nvml_double.scenes import RTX_3060, RTX_4090, SYSTEM, T4, a100, divided, h200

from tunesmith.recipes.machine import Device, Machine, Warning
from tunesmith.recipes.measured import Surface
from tunesmith.recipes.measured.merge import merge
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import Place, Rows, place_of
from tunesmith.recipes.planner.badge import badge
from tunesmith.recipes.planner.filled import put
from tunesmith.recipes.planner.plans import Plan, Recommendation
from tunesmith.recipes.planner.recommend import recommend
from tunesmith.recipes.planner.simulated import simulated, with_rates
from tunesmith.recipes.spec import JobSpec

See = Callable[..., tuple[tuple[Device, ...], tuple[Warning, ...]]]

GB = 10**9
SEVEN, EIGHT, SMALL, TINY = (
    "qwen2.5-7b-instruct", "llama-3.1-8b-instruct", "qwen2.5-1.5b-instruct", "qwen2.5-0.5b-instruct",
)  # fmt: skip
ROWS = Rows(rows=5000, longest=1000, percentile_99=900, mean=300.0, trained_share=0.5, held_out=250)
DOUBLE = Path(__file__).parents[2] / "fakes" / "torch_surface.py"


def a_machine(*devices: Device, memory: int = 128 * GB) -> Machine:
    """A usual computer around `devices`, so that the one this test runs on does not matter."""
    free = int(0.9 * memory)
    processor = Device("cpu", "a processor", memory, free)
    return Machine("Linux", "a processor", 16, ("avx2",), memory, free, (*devices, processor), 2000 * GB)


def place_around(devices: tuple[Device, ...], memory: int = 128 * GB) -> Place:
    return with_rates(place_of(a_machine(*devices, memory=memory)))


def planned(model: str, place: Place, rows: Rows = ROWS, **values: object) -> Recommendation:
    """Each of `values` is set by a person; a key's dots are written as __."""
    given = {key.replace("__", "."): value for key, value in values.items()}
    return recommend(put(JobSpec(), given), given.keys(), catalogue.find(model).facts, rows, place)


def said(plan: Plan) -> dict[str, tuple[str, str]]:
    """Value and code of the reason by key."""
    return {choice.key: (choice.value, choice.reason.code) for choice in plan.choices}


def base_of(model: str, place: Place) -> dict[str, tuple[str, str]]:
    """How each plan keeps the base, and why; every plan must fit."""
    found = planned(model, place)
    assert found.recommended == "balanced"
    assert [plan.fit.verdict for plan in found.plans] == ["fits"] * 3
    return {plan.key: said(plan)["quantization"] for plan in found.plans}


WHOLE, SHORT, LEAN = ("none", "quantization_none"), ("nf4", "quantization_memory"), ("nf4", "quantization_lean")


def test_a_t4_trains_seven_billion_in_nf4_with_float32_as_it_has_no_bfloat16(see: See) -> None:
    place = place_around(see(SYSTEM + T4)[0])
    for model in (SEVEN, EIGHT):
        assert base_of(model, place) == {"lean": SHORT, "balanced": SHORT, "best": SHORT}
        values = said(planned(model, place).plan("balanced"))
        assert values["training.dtype"] == ("float32", "dtype_no_bfloat16")
        assert values["attention"] == ("sdpa", "attention_sdpa"), "flash-attn wants sm80 and 16 bits"
        assert values["training.gradient_checkpointing"] == ("full", "checkpointing_full")
    for model in (SMALL, TINY):
        assert base_of(model, place) == {"lean": LEAN, "balanced": WHOLE, "best": WHOLE}
    (lift,) = planned(SEVEN, place).lift
    assert (lift.key, lift.before, lift.after) == ("quantization", "nf4", "none")
    assert lift.bytes > 10 * GB, "float32 weights alone would take 30 GB of its 16"


def test_a_3060_trains_seven_billion_in_nf4_and_bfloat16(see: See) -> None:
    place = place_around(see(SYSTEM + RTX_3060)[0])
    for model in (SEVEN, EIGHT):
        assert base_of(model, place) == {"lean": SHORT, "balanced": SHORT, "best": SHORT}
        values = said(planned(model, place).plan("balanced"))
        assert values["training.dtype"] == ("bfloat16", "dtype_units")
        assert values["attention"][0] == "flash-attn 2"
    for model in (SMALL, TINY):
        assert base_of(model, place) == {"lean": LEAN, "balanced": WHOLE, "best": WHOLE}
    badges = {model: badge(catalogue.find(model).facts, place).verdict for model in (SEVEN, SMALL, TINY)}
    assert badges == {SEVEN: "quantized", SMALL: "fits", TINY: "fits"}


def test_a_4090_has_room_for_seven_billion_unquantized(see: See) -> None:
    place = place_around(see(SYSTEM + RTX_4090)[0])
    for model in (SEVEN, EIGHT, SMALL, TINY):
        assert base_of(model, place) == {"lean": LEAN, "balanced": WHOLE, "best": WHOLE}
    best = said(planned(SEVEN, place).plan("best"))
    assert best["tuner.rank"] == ("64", "rank_wide"), "quality goes up in rank where all weights do not fit"
    assert best["training.learning_rate"] == ("0.0001", "learning_rate_wide")


def test_of_two_a100_one_trains_and_much_data_trains_all_weights_of_a_small_model(see: See) -> None:
    devices = see(SYSTEM + a100(0) + a100(1))[0]
    place = place_around(devices)
    assert place.memory_bytes == devices[0].memory_bytes, "a run uses one GPU, so two of them are not one of 80 GB"
    for model in (SEVEN, EIGHT, SMALL, TINY):
        assert base_of(model, place) == {"lean": LEAN, "balanced": WHOLE, "best": WHOLE}
    much = msgspec.structs.replace(ROWS, rows=100_000)
    best = planned(SMALL, place, much).plan("best")
    assert said(best)["tuner.kind"] == ("full", "tuner_full")
    assert said(best)["training.learning_rate"] == ("1e-05", "learning_rate_full")
    assert best.spec.exports == ("merged", "gguf:q5_k_m"), "there is no adapter"
    large = planned(SEVEN, place, much)
    assert said(large.plan("best"))["tuner.kind"] == ("lora", "tuner_lora_memory"), "the reason is memory, not data"
    assert "tuner.kind" in {lift.key for lift in large.lift}


def test_of_an_h200_with_100_gb_taken_only_what_is_free_is_planned_with(see: See) -> None:
    place = place_around(see(SYSTEM + h200("free 50754820096"))[0])
    assert place.used_by_others == 100 * 10**9
    for model in (SEVEN, EIGHT, SMALL, TINY):
        assert base_of(model, place) == {"lean": LEAN, "balanced": WHOLE, "best": WHOLE}
        assert all(plan.forecast.device_high_bytes <= 50754820096 for plan in planned(model, place).plans)
    assert said(planned(SEVEN, place).plan("balanced"))["attention"] == ("flash-attn 3", "attention_flash_3")
    large = planned("qwen2.5-32b-instruct", place)
    assert said(large.plan("balanced"))["quantization"] == SHORT, (
        "65 GB would fit into all of it, not into what is free"
    )


def test_of_a_divided_gpu_an_instance_is_what_there_is(see: See) -> None:
    large, small = see(SYSTEM + divided(0, ("3g.20gb", 21_000_000_000), ("1g.5gb", 5_000_000_000)))[0]
    assert said(planned("qwen2.5-14b-instruct", place_around((large,))).plan("balanced"))["quantization"] == SHORT
    assert base_of(SMALL, place_around((large,))) == {"lean": LEAN, "balanced": WHOLE, "best": WHOLE}
    narrow = place_around((small,))
    assert base_of(TINY, narrow) == {"lean": LEAN, "balanced": WHOLE, "best": WHOLE}
    refused = planned(SEVEN, narrow)
    assert (refused.recommended, refused.refusal and refused.refusal.code) == ("", "too_large")
    values = refused.refusal.values if refused.refusal else {}
    assert values["model"].startswith("Qwen/Qwen2.5-"), "a smaller one of the same family, by its name"
    assert (values["what"], values["free"]) == ("device", "5.0 GB")


def test_when_a_gpu_falls_off_the_bus_the_other_one_is_planned_for(see: See) -> None:
    devices, (warning,) = see(SYSTEM + a100(0, "lost 15") + a100(1))
    assert [device.index for device in devices] == [1] and warning.fix
    assert base_of(SEVEN, place_around(devices)) == {"lean": LEAN, "balanced": WHOLE, "best": WHOLE}
    devices, (warning,) = see(SYSTEM + a100(0, "lost 15"))
    assert devices == () and warning.fix, "it says what to do about the GPU"
    assert place_around(devices).device == "cpu", "and plans for what is left"


@pytest.mark.parametrize("scene", [SYSTEM + a100(0, "lost 15"), "init 9\n" + T4])
def test_without_a_gpu_or_its_driver_a_processor_trains_what_its_memory_holds(see: See, scene: str) -> None:
    devices, warnings = see(scene)
    assert warnings, "why there is no GPU"
    place = place_around(devices, memory=24 * GB)
    values = said(planned(TINY, place).plan("balanced"))
    assert values["training.dtype"] == ("float32", "dtype_float32"), "bfloat16 was not measured to be fast here"
    assert values["attention"] == ("flash (CPU)", "attention_cpu")
    for model in (SMALL, TINY):
        assert base_of(model, place) == {"lean": WHOLE, "balanced": WHOLE, "best": WHOLE}, "nf4 costs a CPU its speed"
    refused = planned(SEVEN, place_around(devices, memory=8 * GB))
    assert refused.refusal is not None and refused.refusal.code == "too_large"
    assert refused.refusal.values["what"] == "host"


def test_a_processor_takes_nf4_only_where_float32_does_not_fit() -> None:
    rows = msgspec.structs.replace(ROWS, longest=9000, percentile_99=9000, mean=3000.0)
    roomy = place_around((), memory=64 * GB)
    plan = planned("gemma-3-1b-it", roomy, rows).plan("balanced")
    assert said(plan)["quantization"] == WHOLE
    needs = {}
    for kept in ("none", "nf4"):
        lean = planned("gemma-3-1b-it", roomy, rows, quantization=kept).plan("balanced")
        needs[kept] = planned("gemma-3-1b-it", roomy, rows, quantization=kept).plan("lean").forecast.host_high_bytes
        assert said(lean)["quantization"] == (kept, "explicit"), "who sets it gets it"
    between = (needs["nf4"] + needs["none"]) // 2
    narrow = msgspec.structs.replace(roomy, free_bytes=between, host_free_bytes=between)
    assert said(planned("gemma-3-1b-it", narrow, rows).plan("balanced"))["quantization"] == SHORT


def test_bfloat16_is_taken_on_a_processor_only_where_it_is_measured_fast_and_memory_is_short() -> None:
    place = place_around((), memory=64 * GB)
    slow = msgspec.structs.replace(place, flops={"float32": 1e12, "bfloat16": 2e11}, measured=True)
    fast = msgspec.structs.replace(place, flops={"float32": 1e12, "bfloat16": 2e12}, measured=True)
    assert said(planned(SMALL, fast).plan("balanced"))["training.dtype"] == ("float32", "dtype_float32")
    long = msgspec.structs.replace(ROWS, longest=8000, percentile_99=8000)
    needed = planned(EIGHT, fast, long).plan("balanced").forecast.host_high_bytes
    tight = msgspec.structs.replace(fast, free_bytes=int(0.9 * needed), host_free_bytes=int(0.9 * needed))
    assert said(planned(EIGHT, tight, long).plan("balanced"))["training.dtype"][0] == "bfloat16"
    other = msgspec.structs.replace(slow, free_bytes=tight.free_bytes, host_free_bytes=tight.free_bytes)
    assert said(planned(EIGHT, other, long).plan("balanced"))["training.dtype"][0] == "float32"


def surface(kind: str) -> Surface:
    """As a torch with only the surface of `kind` shows it, in a process of its own."""
    done = subprocess.run([sys.executable, str(DOUBLE), kind], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Surface)


def test_an_apple_gpu_has_no_nf4_and_computes_in_float32() -> None:
    by_share = Device("mps", "Apple GPU", 24_000_000_000, 20_000_000_000, "unified memory")
    machine = merge(a_machine(by_share, memory=36 * GB), surface("mps"))
    place = with_rates(place_of(machine))
    assert place.device == "mps"
    for model in (SMALL, TINY):
        assert base_of(model, place) == {"lean": WHOLE, "balanced": WHOLE, "best": WHOLE}
        values = said(planned(model, place).plan("balanced"))
        assert values["attention"] == ("sdpa", "attention_torch")
        assert values["training.dtype"] == ("float32", "dtype_float32")
    refused = planned(SEVEN, place).refusal
    assert refused is not None and refused.code == "too_large"
    unsuited = planned(SMALL, place, quantization="nf4")
    assert unsuited.refusal is not None and unsuited.refusal.code == "unsuited"
    assert "does not run on mps" in unsuited.refusal.values["message"]
    assert not any(plan.fit.holds for plan in unsuited.plans)


def test_ascend_npus_do_not_train_yet_so_the_processor_is_planned_for() -> None:
    by_file = tuple(Device("npu", f"Ascend NPU {number}", 0, 0, usable=False) for number in range(2))
    place = with_rates(place_of(merge(a_machine(*by_file, memory=64 * GB), surface("npu"))))
    assert (place.device, place.dtype) == ("cpu", "float32")
    assert base_of(TINY, place) == {"lean": WHOLE, "balanced": WHOLE, "best": WHOLE}


def test_a_simulated_machine_is_planned_for_as_one_that_is_here() -> None:
    assert base_of(SEVEN, simulated("rtx-4090"))["balanced"] == WHOLE
    values = said(planned(SEVEN, simulated("m3-max-64g")).plan("balanced"))
    assert values["quantization"] == WHOLE and values["attention"] == ("sdpa", "attention_torch")
    assert simulated("rtx-4090", "cpu").device == "cpu"


def test_a_machine_in_a_file_is_planned_for_with_what_was_measured_on_it(tmp_path: Path, see: See) -> None:
    machine = a_machine(*see(SYSTEM + RTX_3060)[0])
    said_by_doctor = {"ok": True, "machine": msgspec.to_builtins(machine), "measured": None, "checks": []}
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(said_by_doctor))
    place = simulated(str(file))
    assert (place.name, place.measured) == ("NVIDIA GeForce RTX 3060", False)
    assert place.flops["bfloat16"] == simulated("rtx-3060").flops["bfloat16"], "the maker's, as nobody measured"
    assert base_of(SEVEN, place)["balanced"] == SHORT
    measured = msgspec.structs.replace(MEASURED, device="cuda")
    file.write_text(json.dumps(said_by_doctor | {"measured": msgspec.to_builtins(measured)}))
    assert simulated(str(file)).measured is True


def test_a_value_in_the_way_is_named(see: See) -> None:
    place = place_around(see(SYSTEM + RTX_3060)[0])
    refused = planned(SEVEN, place, quantization="none", training__epochs=2)
    assert refused.refusal is not None and refused.refusal.code == "in_the_way"
    assert refused.refusal.values["keys"] == "quantization", "not the epochs, which cost no memory"
    assert all(plan.spec.quantization == "none" and plan.spec.training.epochs == 2 for plan in refused.plans)
    assert refused.ways[0].changes[0].key == "quantization", "and the way out is the first"


def test_a_small_computer_around_the_gpu_is_what_runs_short(see: See) -> None:
    place = place_around(see(SYSTEM + RTX_3060)[0], memory=2 * GB)
    refused = planned(SEVEN, place).refusal
    assert refused is not None and refused.values["what"] == "host", "the engine itself lies beside the GPU"
