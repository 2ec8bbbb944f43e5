"""Scenes of hardware that is not here, each with the plan it gets for 7-8, 1.5 and 0.5 billion parameters, and why.

NVIDIA's GPUs through the real pynvml over a double of its library, Apple's and Ascend's through torch's surface, others
by key and by file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nvml_double.scenes import RTX_3060, RTX_4090, SYSTEM, T4, a100, divided, h200

from tunesmith.recipes.machine import Device, Machine, Warning
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import Place, Rows, place_of
from tunesmith.recipes.planner.plans import Plan, Recommendation
from tunesmith.recipes.planner.recommend import recommend
from tunesmith.recipes.planner.simulated import with_rates
from tunesmith.recipes.spec import JobSpec

See = Callable[..., tuple[tuple[Device, ...], tuple[Warning, ...]]]

GB = 10**9
SEVEN, EIGHT, SMALL, TINY = (
    "qwen2.5-7b-instruct", "llama-3.1-8b-instruct", "qwen2.5-1.5b-instruct", "qwen2.5-0.5b-instruct"
)  # fmt: skip
ROWS = Rows(rows=5000, longest=1000, percentile_99=900, mean=300.0, trained_share=0.5, held_out=250)
DOUBLE = Path(__file__).parents[2] / "fakes" / "torch_surface.py"


def a_machine(*devices: Device, memory: int = 128 * GB) -> Machine:
    """A usual computer around `devices`, so that this test's own does not matter."""
    processor = Device("cpu", "a processor", memory, int(0.9 * memory))
    return Machine(
        "Linux", "a processor", 16, ("avx2",), memory, int(0.9 * memory), (*devices, processor), 2000 * GB
    )  # fmt: skip


def the_place(devices: tuple[Device, ...], memory: int = 128 * GB) -> Place:
    return with_rates(place_of(a_machine(*devices, memory=memory)))


def planned(model: str, place: Place, rows: Rows = ROWS) -> Recommendation:
    return recommend(JobSpec(), (), catalogue.find(model).facts, rows, place)


def said(plan: Plan) -> dict[str, tuple[str, str]]:
    """Value and code of the reason by key."""
    return {choice.key: (choice.value, choice.reason.code) for choice in plan.choices}


def summary(found: Recommendation) -> str:
    plan = found.plan(found.recommended)
    values = said(plan)
    rank = f" {values['tuner.rank'][0]}" if "tuner.rank" in values else ""
    return f"{plan.fit.verdict}: {values['tuner.kind'][0]}{rank}, {values['quantization'][0]}, {values['training.dtype'][0]}"


def test_show(see: See) -> None:
    for name, scene in {
        "t4": SYSTEM + T4, "3060": SYSTEM + RTX_3060, "4090": SYSTEM + RTX_4090, "a100": SYSTEM + a100(0) + a100(1),
        "h200": SYSTEM + h200("free 50754820096"), "mig": SYSTEM + divided(0, ("3g.20gb", 21_000_000_000), ("1g.5gb", 5_000_000_000)),
        "lost": SYSTEM + a100(0, "lost 15") + a100(1), "lost1": SYSTEM + a100(0, "lost 15"),"init": "init 9\n" + T4,
    }.items():
        devices, warnings = see(scene)
        place = the_place(devices)
        for model in (SEVEN, EIGHT, SMALL, TINY):
            found = planned(model, place)
            print(name, place.name, model, found.recommended and summary(found), found.refusal)
            for plan in found.plans:
                v=said(plan)
                print("    ", plan.key, plan.fit.verdict, f"{plan.forecast.bytes/1e9:.1f}", plan.forecast.recomputed, *(v[k][0] for k in ("tuner.rank","quantization","training.dtype","training.window","training.gradient_checkpointing")), v["quantization"][1], f"{plan.forecast.seconds/60:.0f} min")
            print("     ", found.lift)
