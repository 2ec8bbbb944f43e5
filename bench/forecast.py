"""Forecasts beside the truth: real workers on this machine, their memory and time as planned, as probed and as it was.

    python bench/forecast.py [--only TEXT | --only NAME,NAME] [--longer 2] [--jobs 2] [--json-file FILE]

Prints a row a configuration and, at the end, medians and worst errors: of training by the forecast from model and data
("counted"), of training after the probe ("probed"), and of the whole run. A negative error is a forecast that was too
low. With --jobs 2 two workers share the machine, a core each: right for memory, not for time. --longer gives each run
so many times the rows: for time, which is only told from runs of a minute or more.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import typer

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.recipes import spec as recipe

MIB = 1 << 20
WORDS = Path(__file__).resolve().parents[1] / "README.md"
TOKENS_A_WORD = 2.1  # of these words by the starter's tokenizer


class Shape(msgspec.Struct, frozen=True):
    """A model made from a configuration, with random weights and the starter's tokenizer; without `hidden` the starter
    itself. `stored` is the dtype of its files.
    """

    hidden: int = 0
    layers: int = 0
    heads: int = 0
    key_value_heads: int = 0
    intermediate: int = 0
    vocabulary: int = 49152
    tied: bool = True
    family: str = "Llama"
    stored: str = "bfloat16"

    def config(self) -> dict[str, Any]:
        heads = self.heads or self.hidden // 64
        values: dict[str, Any] = {
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "intermediate_size": self.intermediate or self.hidden * 8 // 3 // 32 * 32,
            "num_attention_heads": heads,
            "num_key_value_heads": self.key_value_heads or heads,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": self.tied,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 2,
        }
        return values | ({"head_dim": 64} if self.family in ("Qwen3", "Gemma3Text") else {})


class Case(msgspec.Struct, frozen=True):
    """A run: `length` is that of the longest rows, the others have from 0.4 of it; `training` is of the recipe."""

    name: str
    shape: Shape
    length: int
    batch: int
    tuner: Mapping[str, Any] = MappingProxyType({"kind": "lora"})
    quantization: str = "none"
    training: dict[str, Any] = {}
    exports: tuple[str, ...] = ("merged",)
    steps: int = 16


STARTER = Shape()
M5 = Shape(64, 8)
M14 = Shape(256, 4)
M33 = Shape(384, 8)
M60 = Shape(512, 10)
M200 = Shape(896, 16)
M362 = Shape(960, 32, 15, 5, 2560)
QWEN = Shape(896, 24, 14, 2, 4864, 151936, family="Qwen2")
WIDE = Shape(512, 4, vocabulary=151936, tied=False)
FULL: dict[str, Any] = {"kind": "full"}
GGUF = ("adapter", "merged", "gguf:f16", "gguf:q8_0")


def replaced(shape: Shape, **values: Any) -> Shape:
    return msgspec.structs.replace(shape, **values)


CASES = (
    Case("5M", M5, 128, 4),
    Case("5M long", M5, 4096, 1),
    Case("5M full", M5, 256, 8, FULL),
    Case("14M", M14, 256, 8),
    Case("14M kept in float32", replaced(M14, stored="float32"), 256, 8),
    Case("14M 1k", M14, 1024, 2),
    Case("14M 1k windows of 1k", M14, 1024, 4, training={"window": 1024}),
    Case("14M 4k", M14, 4096, 1),
    Case("14M 4k checkpointed", M14, 4096, 1, training={"gradient_checkpointing": "full"}),
    Case("14M padded", M14, 512, 8, training={"packing": False}),
    Case("14M plain layers", M14, 512, 4, training={"fused": False}),
    Case("14M nf4", M14, 512, 4, quantization="nf4"),
    Case("33M", M33, 512, 4),
    Case("33M rank 64", M33, 512, 4, {"kind": "lora", "rank": 64, "alpha": 128}),
    Case("33M dropout", M33, 512, 4, {"kind": "lora", "dropout": 0.1}),
    Case("33M 2k", M33, 2048, 1),
    Case("33M full", M33, 512, 4, FULL),
    Case("33M full adafactor", M33, 512, 4, FULL, training={"optimizer": "adafactor"}),
    Case("33M full 8-bit", M33, 512, 4, FULL, training={"optimizer": "adamw_8bit"}),
    Case("33M exports", M33, 256, 4, exports=GGUF),
    Case("60M", M60, 512, 4),
    Case("60M kept in float32", replaced(M60, stored="float32"), 512, 4),
    Case("60M selective", M60, 512, 4, training={"gradient_checkpointing": "selective"}),
    Case("60M checkpointed", M60, 1024, 4, training={"gradient_checkpointing": "full", "window": 1024}),
    Case("60M nf4", M60, 256, 4, quantization="nf4"),
    Case("60M full", M60, 256, 8, FULL),
    Case("60M qwen3", replaced(M60, family="Qwen3", key_value_heads=4), 256, 4),
    Case("60M gemma3", replaced(M60, family="Gemma3Text", key_value_heads=4), 256, 4),
    Case("60M mistral padded", replaced(M60, family="Mistral"), 256, 4, training={"packing": False}),
    Case("wide vocabulary, untied", WIDE, 256, 4),
    Case("wide vocabulary, untied, full", WIDE, 256, 4, FULL, steps=12),
    Case("wide vocabulary, tied", replaced(WIDE, tied=True, hidden=768), 512, 2),
    Case("starter", STARTER, 256, 8, exports=GGUF),
    Case("starter 512", STARTER, 512, 2),
    Case("starter windows of 512", STARTER, 512, 4, training={"window": 512}),
    Case("starter 2k checkpointed", STARTER, 2048, 1, training={"gradient_checkpointing": "full"}, steps=12),
    Case("starter nf4", STARTER, 256, 8, quantization="nf4", steps=12),
    Case("starter full", STARTER, 128, 4, FULL, steps=12),
    Case("200M", M200, 256, 4, steps=12),
    Case("200M full 8-bit", M200, 256, 2, FULL, training={"optimizer": "adamw_8bit"}, steps=12),
    Case("362M", M362, 256, 4, steps=12),
    Case("362M nf4", M362, 256, 2, quantization="nf4", steps=12),
    Case("494M qwen2", QWEN, 256, 2, steps=12),
    Case("494M qwen2 nf4", QWEN, 128, 2, quantization="nf4", steps=12),
)


class Outcome(msgspec.Struct, frozen=True):
    """Bytes and seconds as planned, as probed, and as they were; `error` when the run failed."""

    name: str
    counted: int = 0
    probed: int = 0
    trained: int = 0
    probe_steps: int = 0
    counted_whole: int = 0
    probed_whole: int = 0
    whole: int = 0
    stages: dict[str, tuple[int, int]] = {}
    counted_seconds: float = 0.0
    probed_seconds: float = 0.0
    seconds: float = 0.0
    rows: tuple[tuple[int, int, int, int], ...] = ()
    parts: dict[str, int] = {}
    error: str = ""


def make_model(shape: Shape, folder: Path, starter: Path) -> None:
    """In a process of its own: its memory is not the worker's."""
    script = (
        "import json, sys, torch, transformers as t\n"
        "kind, values, dtype, folder = json.loads(sys.argv[1])\n"
        "torch.set_default_dtype(getattr(torch, dtype))\n"
        "t.AutoModelForCausalLM.from_config(getattr(t, kind + 'Config')(**values)).save_pretrained(folder)\n"
    )
    told = json.dumps([shape.family, shape.config(), shape.stored, str(folder)])
    subprocess.run([sys.executable, "-c", script, told], check=True, capture_output=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
        if (starter / name).is_file():
            shutil.copy(starter / name, folder)


def write_rows(case: Case, folder: Path) -> None:
    words, draw = WORDS.read_text("utf-8").split(), random.Random(0)

    def row() -> str:
        count = int(draw.uniform(0.4, 1.0) * case.length / TOKENS_A_WORD)
        texts = [" ".join(draw.choices(words, k=part)) for part in (count // 2, count - count // 2)]
        turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), texts, strict=True)]
        return json.dumps({"messages": turns}) + "\n"

    (folder / "train.jsonl").write_text("".join(row() for _ in range(case.batch * case.steps)), "utf-8")
    (folder / "held_out.jsonl").write_text("".join(row() for _ in range(8)), "utf-8")


def measure(case: Case, starter: Path, core: int | None) -> Outcome:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        model = starter
        if case.shape.hidden:
            model = root / "model"
            make_model(case.shape, model, starter)
        write_rows(case, root)
        values = {
            "model": {"source": str(model)},
            "data": {"train": str(root / "train.jsonl"), "held_out": str(root / "held_out.jsonl")},
            "tuner": dict(case.tuner),
            "quantization": case.quantization,
            "training": {"epochs": 1, "batch_size": case.batch, "device": "cpu"} | case.training,
            "evaluation": {"answers": 4, "max_new_tokens": 16, "general": False},
            "exports": list(case.exports),
        }
        job = root / "jobs" / "1"
        job.mkdir(parents=True)
        (job / "spec.json").write_bytes(msgspec.json.encode(recipe.parse(json.dumps(values), root)))
        bound = [] if core is None else ["taskset", "-c", str(core)]
        command = [*bound, sys.executable, "-m", "tunesmith.daemon.worker", str(job), "1"]
        with (root / "log").open("wb") as log:
            subprocess.run(command, stdout=log, stderr=log, check=False)
        lines = (job / "journal-1.jsonl").read_bytes().splitlines()
        return outcome(case, [e.decode(line) for line in lines])


def outcome(case: Case, events: Sequence[e.Event]) -> Outcome:
    if isinstance(last := events[-1], e.Failed):
        return Outcome(case.name, error=f"{last.code}: {last.message}")
    forecasts = {event.forecast.level: event.forecast for event in events if isinstance(event, e.Forecasted)}
    counted, probed = forecasts["counted"], forecasts.get("probed", forecasts["counted"])
    peaks = {event.stage: event.peak_bytes for event in events if isinstance(event, e.StageFinished)}
    steps = [event for event in events if isinstance(event, e.TrainStep)]
    began = next(event.time for event in events if isinstance(event, e.StageStarted) and event.stage == "train")
    memory = next((event for event in events if isinstance(event, e.MemoryMeasured)), None)
    return Outcome(
        name=case.name,
        counted=counted.stage("train").host_bytes,
        probed=probed.stage("train").host_bytes,
        trained=peaks["train"],
        probe_steps=peaks.get("probe", 0),
        counted_whole=counted.host_bytes,
        probed_whole=probed.host_bytes,
        whole=max(peaks.values()),
        stages={name: (counted.stage(name).host_bytes, size) for name, size in peaks.items() if name in STAGES},
        counted_seconds=counted.stage("train").seconds,
        probed_seconds=probed.stage("train").seconds,
        seconds=steps[-1].time - began,
        rows=tuple(
            (event.rows_kept, event.tokens, event.longest, event.trained_tokens)
            for event in events
            if isinstance(event, e.DataChecked)
        ),
        parts={} if memory is None else {name: getattr(memory, name) for name in PARTS},
    )


STAGES = ("train", "evaluate", "export", "verify")
PARTS = ("weights", "adapter", "gradients", "optimizer", "activations", "other", "peak")


def errors(pairs: Sequence[tuple[float, float]]) -> list[float]:
    """Per cent, of pairs of forecast and truth."""
    return [100 * (forecast / truth - 1) for forecast, truth in pairs if truth]


def summary(title: str, pairs: Sequence[tuple[float, float]]) -> str:
    found = errors(pairs)
    middle = statistics.median(abs(error) for error in found)
    return (
        f"{title:34} median {middle:4.1f} %   worst {min(found):+5.1f} % and {max(found):+5.1f} %   ({len(found)} runs)"
    )


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    titles = ("trained", "counted", "probed", "whole", "forecast", "time", "probed")
    yield " " * 30 + "".join(
        f"{title:>{width}}" for title, width in zip(titles, (9, 15, 15, 9, 15, 8, 15), strict=True)
    )
    for one in outcomes:
        if one.error:
            yield f"{one.name:30} {one.error}"
            continue
        cells = [f"{one.name:30} {one.trained / MIB:8.0f}"]
        cells += [
            f"{size / MIB:7.0f} {100 * (size / truth - 1):+5.1f}%"
            for size, truth in ((one.counted, one.trained), (one.probed, one.trained))
        ]
        cells.append(
            f"{one.whole / MIB:8.0f} {one.probed_whole / MIB:7.0f} {100 * (one.probed_whole / one.whole - 1):+5.1f}%"
        )
        cells.append(
            f"{one.seconds:6.1f}s {one.probed_seconds:6.1f}s {100 * (one.probed_seconds / one.seconds - 1):+5.1f}%"
        )
        yield " ".join(cells)
    whole = [one for one in outcomes if not one.error]
    yield ""
    yield summary("training, counted", [(one.counted, one.trained) for one in whole])
    yield summary("training, probed", [(one.probed, one.trained) for one in whole])
    yield summary("whole run, counted", [(one.counted_whole, one.whole) for one in whole])
    yield summary("whole run, probed", [(one.probed_whole, one.whole) for one in whole])
    for stage in STAGES:
        yield summary(f"stage {stage}, counted", [one.stages[stage] for one in whole if stage in one.stages])


def main(only: str = "", longer: int = 1, jobs: int = 1, json_file: Path | None = None) -> None:
    starter = Home.find().models / "starter"
    if not (starter / "config.json").is_file():
        raise SystemExit("There is no starter model yet: run `tunesmith quickstart` first.")
    names = [name.strip() for name in only.split(",")]
    chosen = [case for case in CASES if case.name in names or (len(names) == 1 and only in case.name)]
    cases = [msgspec.structs.replace(case, steps=case.steps * longer) for case in chosen]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

    def run(place: int) -> Outcome:
        core = cores[place % jobs] if jobs > 1 and len(cores) >= jobs else None
        found = measure(cases[place], starter, core)
        if json_file is not None:
            with json_file.open("ab") as file:
                file.write(msgspec.json.encode(found) + b"\n")
        return found

    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(run, range(len(cases))))
    for line in table(outcomes):
        typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
