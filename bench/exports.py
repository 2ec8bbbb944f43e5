"""Every export of one tuned starter: size, time, peak memory, and how far it is from the model that was trained.

    python bench/exports.py [--to gguf:f16,awq] [--home FOLDER [--run NUMBER]] [--json-file FILE]

The starter is tuned as `tunesmith quickstart` does, unless a run of FOLDER is to be taken; then each target is exported
by a job of its own through a real daemon and verified. Prints a row a target. `time` is of converting and quantizing
(where one is needed with the importance matrix, and an environment); `memory` is the most that the job's processes had
resident together, verification left out; `verifying` is the time of that.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from pathlib import Path

import msgspec
import psutil
import typer

from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.find import ended, ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.recipes import presets, spec
from tunesmith.recipes.again import exporting

TARGETS = (
    "gguf:f16", "gguf:q8_0", "gguf:q6_k", "gguf:q5_k_m", "gguf:q4_k_m", "gguf:q4_k_m-plain", "awq", "gptq", "fp8",
    "bnb:int8", "bnb:nf4",
)  # fmt: skip
LOOK_EVERY_S = 0.1
HEAD = ("target", "MB", "time s", "memory GB", "KL", "limit", "same first", "perplexity", "right", "verifying s", "")


class Row(msgspec.Struct):
    """What came of a target; `seconds` and `verifying` in seconds, `size` and `memory` in bytes."""

    target: str
    passed: bool
    size: int
    seconds: float
    memory: int
    kl_divergence: float
    kl_limit: float
    top1_agreement: float
    perplexity: float | None
    merged_perplexity: float | None
    correct: int | None
    graded: int | None
    verifying: float

    def line(self) -> str:
        cells = (
            self.target, f"{self.size / 1e6:.1f}", f"{self.seconds:.1f}", f"{self.memory / 1e9:.2f}",
            f"{self.kl_divergence:.2g}", f"{self.kl_limit:g}", f"{self.top1_agreement:.1%}",
            "-" if self.perplexity is None else f"{self.perplexity:.2f}",
            "-" if self.graded is None else f"{self.correct}/{self.graded}",
            f"{self.verifying:.1f}", "" if self.passed else "NOT PASSED",
        )  # fmt: skip
        return in_columns(cells)


def in_columns(cells: tuple[str, ...]) -> str:
    return "".join(f"{cell:<19}" if place == 0 else f"{cell:>12}" for place, cell in enumerate(cells))


def resident(pid: int | None) -> int:
    """Of a worker and all it started, together; 0 where it has gone."""
    found = 0
    try:
        worker = psutil.Process(pid) if pid else None
        for process in [worker, *worker.children(recursive=True)] if worker else []:
            found += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return found


async def done(client: Client, submitted: spec.JobSpec) -> tuple[JobView, dict[str, int]]:
    """The finished job, and the most memory in each of its stages. Raises SystemExit where it failed."""
    view = await client.submit(Submit(key=uuid.uuid4().hex, spec=submitted))
    most: dict[str, int] = {}
    while not view.ended_already:
        await asyncio.sleep(LOOK_EVERY_S)
        view = await client.job(view.id)
        working = next((stage.name for stage in view.stages if stage.state == "running"), "")
        most[working] = max(most.get(working, 0), resident(view.pid))
    if view.state != FINISHED and not view.verified:
        raise SystemExit(f"job {view.id} is {view.state}: {view.error}")
    return view, most


def training() -> spec.JobSpec:
    """The starter's own recipe, with only what every export begins with."""
    return spec.complete(msgspec.structs.replace(spec.load(presets.path("starter")), exports=("merged",)))


async def measured(home: Home, targets: list[str], number: int, lines: Path | None) -> None:
    client = await ensure_daemon(home)
    try:
        run = await client.job(number) if number else (await done(client, training()))[0]
        print(in_columns(HEAD), flush=True)
        for target in targets:
            view, most = await done(client, exporting(Path(run.folder) / "artifacts", (target,)))
            row = told(view, target, most)
            print(row.line(), flush=True)
            if lines is not None:
                with lines.open("ab") as file:
                    file.write(msgspec.json.encode(row) + b"\n")
    finally:
        await client.stop()
        await ended(home)


def told(view: JobView, target: str, most: dict[str, int]) -> Row:
    took = {stage.name: stage.seconds or 0.0 for stage in view.stages}
    artifact = next(one for one in view.artifacts if one.key == target)
    card = next(one for one in view.verified if one.key == target)
    return Row(
        target, card.passed, artifact.bytes, took["export"], most.get("export", 0), card.kl_divergence, card.kl_limit,
        card.top1_agreement, card.perplexity, card.merged_perplexity, card.correct, card.graded, took["verify"],
    )  # fmt: skip


def main(to: str = ",".join(TARGETS), home: Path | None = None, run: int = 0, json_file: Path | None = None) -> None:
    with tempfile.TemporaryDirectory(prefix="exports-") as scratch:
        place = Home(home or Path(scratch) / "home")
        os.environ["TUNESMITH_HOME"] = str(place.root)
        asyncio.run(measured(place, to.split(","), run, json_file))


if __name__ == "__main__":
    typer.run(main)
