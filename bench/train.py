"""How fast and how small training is, side by side with trl's SFTTrainer and a plain loop. One JSON line a figure.

Run: python bench/train.py [ragged] [long] [full] [nf4] [--device cuda] [--rounds N], ragged without an argument. The
contenders (contenders.py) have the same model, rows, masks, seed and precision; each takes a step in turn, in its own
process. The matrix-product limit is measured before every step. Useful tokens are those without padding.
On CUDA: a model of Llama 3 8B's shape with random weights, in bfloat16.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from contenders import CONTENDERS
from workloads import ON_CPU, ON_CUDA, Setup, Workload, random_8b, starter_model, write_rows

from tunesmith.recipes.machine.cpu import granted_cores

WARM_UP = 2  # steps of each process that do not count
OURS, DEFAULT = "tunesmith", "trl"
AIMS = {
    "tokens against trl": 2.2,
    "tokens against trl at its best": 1.3,
    "share of torch.mm": 0.5,
    "peak against trl": 0.5,
}


class Contender:
    """A contender's process, and what its measured turns cost."""

    def __init__(self, name: str, setup: Setup) -> None:
        self.name, self.setup = name, setup
        self.turns: list[dict[str, float]] = []
        self.failed = ""
        self.process: subprocess.Popen[str] | None = None
        self.folder = Path(setup.folder) / name.replace(" ", "-").replace(",", "")
        self.log = self.folder / "log.txt"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        shutil.rmtree(self.folder / "home", ignore_errors=True)
        setup = self.folder / "setup.json"
        setup.write_bytes(msgspec.json.encode(msgspec.structs.replace(self.setup, folder=str(self.folder))))
        cores = str(granted_cores())
        environment = os.environ | {
            "OMP_NUM_THREADS": cores,
            "MKL_NUM_THREADS": cores,
            "GOMP_SPINCOUNT": "1000",  # one that waits for its turn must not spin for long
            "KMP_BLOCKTIME": "1",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("contenders.py")), self.name, str(setup)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )
        self.told()  # that it is there
        for _ in range(WARM_UP):
            self.turn()

    def told(self) -> dict[str, Any]:
        assert self.process is not None and self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.failed = (self.log.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
            return {}
        found: dict[str, Any] = json.loads(line)
        return found

    def turn(self) -> dict[str, Any]:
        """One step; empty once it failed."""
        if self.failed or self.process is None or self.process.stdin is None:
            return {}
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.told()

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def tokens_per_second(self) -> float:
        return sum(turn["tokens"] for turn in self.turns) / sum(turn["seconds"] for turn in self.turns)

    @property
    def tokens_per_processor_second(self) -> float:
        return sum(turn["tokens"] for turn in self.turns) / sum(turn["processor"] for turn in self.turns)

    @property
    def peak(self) -> float:
        return max(turn["peak"] for turn in self.turns)


def compete(setup: Setup, names: list[str], rounds: int) -> list[Contender]:
    """Every contender takes `rounds` steps in turn, the machine's limit measured before each."""
    contenders = [Contender(name, setup) for name in names]
    gauge = Contender("limit", setup)
    gauge.start()
    apart = setup.workload.apart
    for contender in [] if apart else contenders:
        contender.start()
    for _ in range(1 if apart else rounds):
        for contender in contenders:
            if apart:
                contender.start()
            for _ in range(rounds if apart else 1):
                limits = gauge.turn()
                if turn := contender.turn():
                    contender.turns.append(turn | limits)
            if apart:
                contender.end()
    for contender in [*contenders, gauge]:
        contender.end()
    return contenders


def figure(work: Workload, contender: str, name: str, value: float, unit: str, aim: float | None = None) -> None:
    line = {"workload": work.name, "contender": contender, "figure": name, "value": round(value, 4), "unit": unit}
    print(json.dumps(line if aim is None else line | {"aim": aim}), flush=True)


def report(work: Workload, contenders: list[Contender]) -> None:
    for contender in contenders:
        if contender.failed:
            print(json.dumps({"workload": work.name, "contender": contender.name, "failed": contender.failed}))
            continue
        turns = contender.turns
        mine = contender.name == OURS
        figure(work, contender.name, "step", statistics.median(turn["seconds"] for turn in turns), "s")
        figure(work, contender.name, "processor time", statistics.median(turn["processor"] for turn in turns), "s")
        figure(work, contender.name, "useful tokens", contender.tokens_per_second, "tokens/s")
        figure(work, contender.name, "peak memory", contender.peak, "bytes")
        for library in turns[0]["limits"]:
            share = statistics.median(turn["flops"] / turn["seconds"] / turn["limits"][library] for turn in turns)
            name = f"share of {library}"
            figure(work, contender.name, name, share, "share", AIMS.get(name) if mine else None)
    done = {contender.name: contender for contender in contenders if not contender.failed}
    if OURS not in done:
        return
    limits = [turn["limits"] for contender in done.values() for turn in contender.turns]
    for library in limits[0]:
        figure(work, "machine", f"{library} products", statistics.median(each[library] for each in limits), "FLOP/s")
    others = {name: contender for name, contender in done.items() if name != OURS}
    for name, other in others.items():
        ratio = done[OURS].tokens_per_second / other.tokens_per_second
        figure(work, OURS, f"tokens against {name}", ratio, "ratio", AIMS.get(f"tokens against {name}"))
        effort = other.tokens_per_processor_second
        ratio = done[OURS].tokens_per_processor_second / effort
        figure(work, OURS, f"tokens a processor second against {name}", ratio, "ratio")
        share = done[OURS].peak / other.peak
        figure(work, OURS, f"peak against {name}", share, "ratio", AIMS.get(f"peak against {name}"))
    tuned = [other for name, other in others.items() if name.startswith(DEFAULT) and name != DEFAULT]
    if tuned:
        best = max(tuned, key=lambda other: other.tokens_per_second)
        ratio = done[OURS].tokens_per_second / best.tokens_per_second
        aim = AIMS["tokens against trl at its best"]
        figure(work, OURS, f"tokens against trl at its best ({best.name})", ratio, "ratio", aim)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=["ragged"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--model", type=Path, help="a model folder; the starter without it, on CUDA an 8B shape")
    parser.add_argument("--rounds", type=int, help="steps of each contender that count")
    parser.add_argument("--only", action="append", choices=list(CONTENDERS), help="a contender; may be given again")
    given = parser.parse_args()
    liger = given.device == "cuda" and importlib.util.find_spec("liger_kernel")
    names = given.only or [name for name in CONTENDERS if liger or name != "trl, liger"]
    known = ON_CUDA if given.device == "cuda" else ON_CPU
    with tempfile.TemporaryDirectory(prefix="tunesmith-bench-") as folder:
        model = given.model or starter_model()
        if given.device == "cuda" and not given.model:
            model = random_8b(Path(folder) / "model", model)
        for choice in given.workloads:
            if choice not in known:
                parser.error(f"unknown workload {choice!r}; there are {', '.join(known)}")
            for work in known[choice]:
                place = Path(tempfile.mkdtemp(dir=folder))
                rows, tokens = write_rows(work, model, place)
                dtype = "bfloat16" if given.device == "cuda" else "float32"
                setup = Setup(work, given.device, dtype, str(model), str(rows), str(tokens), str(place))
                report(work, compete(setup, names, given.rounds or work.rounds))


if __name__ == "__main__":
    main()
