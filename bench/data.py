"""How fast and how small data preparation is, side by side with datasets.map. One JSON line a figure.

Run: python bench/data.py rows|first-step|memory (all three without an argument). Rows are generated chats, mostly of
55 to 105 tokens. rows: the same tokenizer and mask, compared token for token, RUNS runs in turn, medians. first-step:
a real worker on a million rows, from the start of its process to the first optimizer step. memory: a check of a 2 GB
file.
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
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
from workloads import starter_model

RUNS = 3
CORES = 2
COMPARED_ROWS = 300_000
MANY_ROWS = 1_000_000
LARGE_BYTES = 2 * 10**9
REPOSITORY = Path(__file__).parent.parent
WORDS = (REPOSITORY / "README.md").read_text("utf-8").split()
# The starter's template with the generation markers that transformers needs for a mask; it renders the same text.
MARKED = (
    ("{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"),
    (
        "{% if message['role'] == 'assistant' %}{{ '<|im_start|>assistant\n' }}{% generation %}"
        "{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}{% else %}"
        "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endif %}"
    ),
)


def figure(name: str, value: float, unit: str, aim: float) -> None:
    print(json.dumps({"figure": name, "value": round(value, 3), "unit": unit, "aim": aim}), flush=True)


def write_rows(file: Path, rows: int | None = None, size: int | None = None) -> int:
    """Generated chats, `rows` many or until the file has `size` bytes; returns how many."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(4, 18))) for _ in range(5000)]
    count = written = 0
    with file.open("w", encoding="utf-8") as out:
        while (rows is None or count < rows) and (size is None or written < size):
            messages = [
                {"role": "user", "content": f"{draw.choice(texts)} ({count})"},
                {"role": "assistant", "content": draw.choice(texts)},
            ]
            written += out.write(json.dumps({"messages": messages}) + "\n")
            count += 1
    return count


def ours(file: Path, model: Path) -> tuple[float, Any, Any]:
    """Seconds, and ids and masks of all rows."""
    from tunesmith.recipes.data.examine import Settings, stream
    from tunesmith.recipes.data.files.sources import find

    settings = Settings(shape="messages", model=str(model), keep_tokens=True)
    began = time.perf_counter()
    parts = list(stream(find([file]), settings, CORES))
    seconds = time.perf_counter() - began
    return seconds, np.concatenate([part.ids for part in parts]), np.concatenate([part.masks for part in parts])


def theirs(file: Path, model: Path, folder: Path, batched: bool) -> tuple[float, Any, Any]:
    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model))
    plain = tokenizer.chat_template.replace("\\n", "\n")
    tokenizer.chat_template = plain.replace(*MARKED)
    if tokenizer.chat_template == plain:
        sys.exit("The starter's chat template is not the one this benchmark knows.")
    rows = load_dataset("json", data_files=str(file), split="train", cache_dir=str(folder))

    def prepare(row: dict[str, Any]) -> dict[str, Any]:
        found = tokenizer.apply_chat_template(
            row["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        return {"ids": found["input_ids"], "mask": found["assistant_masks"]}

    began = time.perf_counter()
    done = rows.map(
        prepare, batched=batched, num_proc=CORES, load_from_cache_file=False, remove_columns=rows.column_names
    )
    seconds = time.perf_counter() - began
    table = done.data
    return (
        seconds,
        table["ids"].combine_chunks().values.to_numpy().astype(np.int32),
        table["mask"].combine_chunks().values.to_numpy().astype(bool),
    )


def rows(folder: Path) -> None:
    file, model = folder / "rows.jsonl", starter_model()
    count = write_rows(file, COMPARED_ROWS)
    contenders: dict[str, Callable[[], tuple[float, Any, Any]]] = {
        "tunesmith": lambda: ours(file, model),
        "datasets.map": lambda: theirs(file, model, folder / "cache", batched=False),
        "datasets.map batched": lambda: theirs(file, model, folder / "cache", batched=True),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(RUNS):
        results = {}
        for name, contender in contenders.items():
            seconds, ids, mask = results[name] = contender()
            rates[name].append(count / seconds)
        _, ids, mask = results["tunesmith"]
        for name, (_, other_ids, other_mask) in results.items():
            if not (np.array_equal(ids, other_ids) and np.array_equal(mask, other_mask)):
                sys.exit(f"{name} gives other tokens or another mask")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, rate in medians.items():
        figure(f"rows prepared by {name}", rate, "rows/s", 0)
    figure("against datasets.map", medians["tunesmith"] / medians["datasets.map"], "ratio", 5)
    figure("against datasets.map, batched", medians["tunesmith"] / medians["datasets.map batched"], "ratio", 5)


def first_step(folder: Path) -> None:
    """From starting the worker's process until its journal has a step; and until all rows were accounted for."""
    from tunesmith.recipes import presets
    from tunesmith.recipes import spec as recipe

    file = folder / "million.jsonl"
    write_rows(file, MANY_ROWS)
    home = folder / "home"
    job = home / "jobs" / "1"
    job.mkdir(parents=True)
    preset = recipe.load(presets.path("starter"))  # what a person on such a machine starts with
    spec = msgspec.structs.replace(
        preset, model=recipe.ModelSpec(source=str(starter_model())), data=recipe.DataSpec(train=str(file))
    )
    (job / "spec.json").write_bytes(msgspec.json.encode(spec))
    began = time.perf_counter()
    log = (folder / "worker.log").open("wb")
    worker = subprocess.Popen(
        [sys.executable, "-m", "tunesmith.daemon.worker", str(job), "1"], stdout=log, stderr=log, start_new_session=True
    )
    stepped = None
    journal = job / "journal-1.jsonl"
    peak = 0
    try:
        while True:
            text = journal.read_text("utf-8") if journal.exists() else ""
            if stepped is None and '"train_step"' in text:
                stepped = time.perf_counter() - began
                figure("first step on a million rows", stepped, "s", 10)
            if '"failed"' in text:
                sys.exit(text[-2000:])
            if '"data_checked"' in text:
                figure("a million rows prepared, training beside it", time.perf_counter() - began, "s", 0)
                break
            if stepped is not None:  # to look is work itself
                peak = max(peak, memory(worker.pid))
            time.sleep(0.05 if stepped is None else 1)
    finally:
        os.killpg(worker.pid, 9)
    figure("memory of worker and its processes meanwhile", peak / 2**20, "MiB", 0)


def memory(pid: int) -> int:
    """Resident bytes of a process and all below it; pages that several share count once (PSS)."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in processes:
            total += process.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return total
    return total


def check_memory(folder: Path) -> None:
    file = folder / "large.jsonl"
    count = write_rows(file, size=LARGE_BYTES)
    command = str(Path(sys.executable).with_name("tunesmith"))
    began = time.perf_counter()
    report = folder / "report.json"
    with report.open("wb") as out, (folder / "check.log").open("wb") as log:
        check = subprocess.Popen(
            [command, "data", "check", str(file), "--model", str(starter_model()), "--json"], stdout=out, stderr=log
        )
        peak = 0
        while check.poll() is None:
            peak = max(peak, memory(check.pid))
            time.sleep(0.25)
    seconds = time.perf_counter() - began
    found = json.loads(report.read_bytes())
    if found["rows_read"] != count or found["rows_kept"] + len(found["rejected"]) != count:
        sys.exit(f"{count} rows were written, the check says {found['rows_read']} read")
    figure("check of a 2 GB file, peak memory of all its processes", peak / 2**20, "MiB", 500)
    figure("check of a 2 GB file", count / seconds, "rows/s", 0)


BENCHES = {"rows": rows, "first-step": first_step, "memory": check_memory}


def main() -> None:
    for name in sys.argv[1:] or BENCHES:
        folder = Path(tempfile.mkdtemp(prefix="tunesmith-bench-"))
        try:
            BENCHES[name](folder)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":  # the pool's processes import this file
    main()
