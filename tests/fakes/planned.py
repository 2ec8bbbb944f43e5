"""Machines that are never looked at, and drafts over a model of the catalogue, for what the planner shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.machine import Device, Machine
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import Change, Fit, Forecast, Part, Place, StageForecast, place_of
from tunesmith.recipes.planner.badge import Badge
from tunesmith.recipes.planner.plans import Choice, Plan, Reason, Recommendation, Way
from tunesmith.recipes.spec import JobSpec, complete
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.draft import OWN, Draft
from tunesmith.tui.planning import Planning
from tunesmith.tui.screens.recipe import RecipeStep

GB = 1_000_000_000
MB = 1_000_000


def on_cpu(memory: int, free: int) -> Machine:
    """Gigabytes."""
    device = Device("cpu", "AMD EPYC 9354", memory * GB, free * GB)
    return Machine(
        system="Linux 6.8 x86_64", cpu_name=device.name, cores=8, simd=("avx2",), memory_bytes=memory * GB,
        memory_free_bytes=free * GB, devices=(device,), disk_free_bytes=200 * GB,
    )  # fmt: skip


def on_gpu(memory: int, free: int, host: int = 64) -> Machine:
    gpu = Device("cuda", "NVIDIA RTX 3060", memory * GB, free * GB, capability=(8, 6), bf16=True)
    beside = on_cpu(host, host - 4)
    return Machine(
        system=beside.system, cpu_name=beside.cpu_name, cores=8, simd=beside.simd, memory_bytes=host * GB,
        memory_free_bytes=(host - 4) * GB, devices=(gpu, *beside.devices), disk_free_bytes=200 * GB,
    )  # fmt: skip


def model_folder(folder: Path, name: str) -> Path:
    """A folder with the config.json of a model of the catalogue."""
    (folder / name).mkdir(parents=True)
    config = catalogue.find(name).architecture
    (folder / name / "config.json").write_text(json.dumps(config))
    return folder / name


def own(folder: Path, model: str, **typed: str) -> Draft:
    """Rows nobody has looked at, on a model of the catalogue; `training_epochs="2"` is typed."""
    draft = Draft.starter()
    draft.model, draft.model_folder = OWN, str(model_folder(folder, model))
    draft.data, draft.data_file = OWN, str(folder / "rows.jsonl")
    draft.typed.update({key.replace("_", ".", 1): value for key, value in typed.items()})
    return draft


def wizard(folder: Path, machine: Machine | None, draft: Draft | None = None) -> TunesmithApp:
    return TunesmithApp(Home(folder / "home"), draft, machine=machine, live=False)


def unplanned(folder: Path = Path("/nowhere"), machine: Machine | None = None) -> Planning:
    """What a screen is given that plans nothing unless it is asked; `folder` is the home."""
    return Planning(Home(folder), Draft.starter(), machine, live=False)


async def planned(pilot: Pilot[None]) -> RecipeStep:
    """The recipe step once its plans are there."""
    await pilot.press("f5")
    step = pilot.app.screen.query_one(RecipeStep)
    for _ in range(500):
        await pilot.pause(0.01)
        at_work = any(worker.group == "plan" and not worker.is_finished for worker in pilot.app.workers)
        if step.plans is not None and step.found is not None and not at_work:
            await pilot.pause()
            return step
    raise AssertionError("no plans came")


def forecast(times: float = 1.0) -> Forecast:
    """The same in every version of the planner: how it is drawn does not depend on its figures."""
    sizes = {"weights": 3100, "adapter": 74, "gradients": 74, "optimizer": 148, "activations": 1500, "logits": 620,
             "runtime": 1200}  # fmt: skip
    parts = tuple(Part(name, int(size * MB * times)) for name, size in sizes.items())
    device = sum(part.bytes for part in parts)
    return Forecast(
        level="counted", device="cuda", dtype="bfloat16", parts=parts,
        stages=(StageForecast("train", 2400 * MB, device, 1260 * times, 300 * MB),
                StageForecast("export", 9800 * MB, 0, 60.0, 6200 * MB)),
        memory_spread=(0.08, 0.08), time_spread=(0.4, 0.6), tokens=2048, steps=189, step_seconds=6.7, recomputed=0,
    )  # fmt: skip


class Fixed:
    """In place of the planner: three plans of which `fits` do, and what a recipe needs."""

    def __init__(self, *, fits: bool = True) -> None:
        self.fit = Fit("fits") if fits else Fit("not", (("device", 2_100 * MB),))
        spec = complete(JobSpec())
        choice = Choice("tuner.rank", "16", Reason("rank_usual"))
        plans = tuple(
            Plan(key, spec, forecast(times), self.fit, (choice,))
            for key, times in (("lean", 0.6 if fits else 0.9), ("balanced", 1.0), ("best", 1.2))
        )
        self.ways = (
            Way((Change("quantization", "none", "nf4"),), "device", 4_400 * MB, 2_300 * MB, True),
            Way(
                (Change("training.max_length", "4096", "2048"), Change("data.over_long", "error", "drop")),
                "device", 5_900 * MB, 800 * MB, False,
            ),
        )  # fmt: skip
        refusal = None if fits else Reason(
            "nothing_fits", {"place": "NVIDIA RTX 3060", "needed": "6.7 GB", "what": "device", "free": "4.6 GB"}
        )  # fmt: skip
        self.plans = Recommendation(plans, self.ways, (), "balanced" if fits else "", refusal)

    def __call__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def found(planning: Planning, spec: JobSpec) -> tuple[Forecast, Fit, Place]:
            assert planning.machine is not None
            return forecast(), self.fit, place_of(planning.machine)

        def badge(name: str, parameters: int) -> Badge:
            verdict = "fits" if parameters < 2e9 else "quantized" if parameters < 9e9 else "not"
            return Badge(verdict, int(parameters * 2.4), parameters / 1e7)

        monkeypatch.setattr(Planning, "forecast", found)
        monkeypatch.setattr(Planning, "recommend", lambda planning: self.plans)
        monkeypatch.setattr(Planning, "ways", lambda planning, spec: self.ways)
        monkeypatch.setattr(
            Planning, "badges", lambda planning: {e.key: badge(e.key, e.parameters) for e in catalogue.catalogue()}
        )
