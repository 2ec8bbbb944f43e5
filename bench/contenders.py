"""One contender of bench/train.py, in a process of its own: it takes a step whenever it is told to, and counts it.

`python bench/contenders.py NAME SETUP.json`; a line on standard input is its turn, a JSON line on standard output what
the turn cost. A turn is one whole optimizer step with everything between it and the next: reading rows, logging.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np
from workloads import LEARNING_RATE, SEED, Setup, read_rows

from tunesmith.daemon.worker import load

EPOCHS = 100  # more than are measured


class Turns:
    """Waits for the turn, and tells what the last one cost: seconds, useful tokens and operations, peak bytes.

    `processor` are the seconds of all threads together: what else runs on the machine changes them less.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.summary: Any = None
        self.began = self.processor = 0.0
        self.tokens = self.flops = 0.0
        self.limits: dict[str, float] = {}
        self.out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is not for the bench

    def work(self, lengths: Sequence[int], labels: int) -> None:
        """The step of this turn computes sequences of `lengths` tokens with `labels` labelled ones."""
        from tunesmith.daemon.worker.train import flops

        self.tokens = sum(lengths)
        self.flops = flops.useful(self.summary, lengths, labels)

    def next(self) -> None:
        from tunesmith.daemon.worker.train import memory

        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()
        told: dict[str, Any] = {"limits": self.limits} if self.limits else {}
        if self.began and not self.limits:
            seconds = time.perf_counter() - self.began
            processor = time.process_time() - self.processor
            told = {"seconds": seconds, "processor": processor, "tokens": self.tokens, "flops": self.flops}
            told["peak"] = memory.peak(self.device)
        self.out.write(json.dumps(told) + "\n")
        self.out.flush()
        if not sys.stdin.readline():
            os._exit(0)
        self.began, self.processor = time.perf_counter(), time.process_time()


def callback(turns: Turns) -> Any:
    from transformers import TrainerCallback

    class Wait(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to mypy
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            turns.next()

    return Wait()


def ours(setup: Setup, turns: Turns) -> None:
    """The worker as the daemon starts it; only its steps wait for their turn."""
    from tunesmith.daemon.worker import __main__ as worker
    from tunesmith.daemon.worker.train import core as training_core
    from tunesmith.daemon.worker.train import flops, probe
    from tunesmith.daemon.worker.train import run as training
    from tunesmith.daemon.worker.train.report import callbacks
    from tunesmith.recipes import spec as recipe

    work = setup.workload
    job = Path(setup.folder) / "home" / "jobs" / "1"
    job.mkdir(parents=True, exist_ok=True)
    held_out = Path(setup.folder) / "held_out.jsonl"
    held_out.write_text('{"messages": [{"role": "user", "content": "Who?"}], "answer": "I.", "accept": ["I"]}')
    values = {
        "model": {"source": setup.model},
        "data": {"train": setup.rows, "held_out": str(held_out)},
        "tuner": {"kind": work.tuner},
        "quantization": work.quantization,
        "training": {
            "batch_size": work.batch,
            "epochs": EPOCHS,
            "learning_rate": LEARNING_RATE,
            "device": setup.device,
            "dtype": setup.dtype,
            "save_steps": 0,
            "seed": SEED,
        },
        "evaluation": {"answers": 0, "samples": 0},
        "exports": [],
    }
    spec = recipe.parse(json.dumps(values), Path(setup.folder))
    (job / "spec.json").write_bytes(msgspec.json.encode(spec))
    counted = training_core.Core.flops

    def waiting(*given: Any) -> list[Any]:
        return [*callbacks(*given), callback(turns)]

    def counting(core: training_core.Core, step: Any) -> float:
        turns.summary = turns.summary or flops.summarize(core.base)
        turns.work([length for window in step for length in window.lengths], step.labels)
        return counted(core, step)

    # A step's rows are known where its operations are counted, so the probe's steps are left out.
    mock.patch.object(probe, "LEAST_STEPS", 10**9).start()
    with mock.patch.object(training, "callbacks", waiting), mock.patch.object(training_core.Core, "flops", counting):
        worker.main([str(job), "1"])
    raise SystemExit((job / "journal-1.jsonl").read_text("utf-8").splitlines()[-1])


def adapted(setup: Setup) -> Any:
    """The model with its adapter, as everyone gets it."""
    import torch
    from transformers import set_seed

    from tunesmith.recipes import tuners
    from tunesmith.recipes.fields import fill

    set_seed(SEED)
    work = setup.workload
    base = load.model(Path(setup.model), setup.device, getattr(torch, setup.dtype), work.quantization)
    card = tuners.cards()[work.tuner]
    return card.attach(base, fill("tuner", card.knobs, {}), SEED)


def trl(setup: Setup, turns: Turns, **flags: Any) -> None:
    """trl's SFTTrainer over the same tokens and labels; `flags` are the arguments that are not its defaults."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from tunesmith.daemon.worker.train import flops

    model = adapted(setup)
    turns.summary = flops.summarize(model)
    config = SFTConfig(
        output_dir=f"{setup.folder}/trl",
        per_device_train_batch_size=setup.workload.batch,
        num_train_epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        bf16=setup.dtype == "bfloat16",
        use_cpu=setup.device == "cpu",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        seed=SEED,
        **flags,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(read_rows(Path(setup.tokens))),
        processing_class=AutoTokenizer.from_pretrained(setup.model),
        callbacks=[callback(turns)],
    )
    step = trainer.training_step

    def counting(model: Any, inputs: Any, *rest: Any) -> Any:
        if "attention_mask" in inputs:
            lengths = inputs["attention_mask"].sum(dim=1).tolist()
        else:  # end to end: positions begin anew
            starts = (inputs["position_ids"][0] == 0).nonzero()[:, 0].tolist()
            lengths = np.diff([*starts, inputs["position_ids"].shape[1]]).tolist()
        turns.work(lengths, int((inputs["labels"] != -100).sum()))
        return step(model, inputs, *rest)

    trainer.training_step = counting
    trainer.train()


def plain(setup: Setup, turns: Turns) -> None:
    """transformers and peft in a loop: padded batches, the model's own loss, no checkpointing."""
    import torch

    from tunesmith.daemon.worker.train import flops

    model = adapted(setup).train()
    turns.summary = flops.summarize(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE)
    rows = read_rows(Path(setup.tokens))
    random = np.random.default_rng(SEED)
    for _ in range(EPOCHS):
        order = random.permutation(len(rows))
        for start in range(0, len(order) - setup.workload.batch + 1, setup.workload.batch):
            turns.next()
            batch = [rows[place] for place in order[start : start + setup.workload.batch]]
            lengths = [len(row["input_ids"]) for row in batch]
            turns.work(lengths, sum(label != -100 for row in batch for label in row["labels"][1:]))
            shape = (len(batch), max(lengths))
            inputs = {"input_ids": torch.zeros(shape, dtype=torch.long), "attention_mask": torch.zeros(shape).long()}
            inputs["labels"] = torch.full(shape, -100)
            for place, row in enumerate(batch):
                inputs["input_ids"][place, : lengths[place]] = torch.tensor(row["input_ids"])
                inputs["labels"][place, : lengths[place]] = torch.tensor(row["labels"])
                inputs["attention_mask"][place, : lengths[place]] = 1
            inputs = {name: tensor.to(setup.device) for name, tensor in inputs.items()}
            with torch.autocast(setup.device, torch.bfloat16, enabled=setup.dtype == "bfloat16"):
                loss = model(**inputs, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()


def limit(setup: Setup, turns: Turns) -> None:
    """No contender: the operations of a second of matrix products on this machine, now, by each library."""
    import torch

    from tunesmith.daemon.worker.train.limit import by_library

    while True:
        turns.next()
        turns.limits = by_library(setup.device, getattr(torch, setup.dtype))


def flagged(**flags: Any) -> Callable[[Setup, Turns], None]:
    return lambda setup, turns: trl(setup, turns, **flags)


# Packed by trl means position ids that begin anew; transformers masks those apart, so it trains the same thing.
CONTENDERS: dict[str, Callable[[Setup, Turns], None]] = {
    "tunesmith": ours,
    "trl": trl,
    "trl, no checkpointing": flagged(gradient_checkpointing=False),
    "trl, by length": flagged(gradient_checkpointing=False, train_sampling_strategy="group_by_length"),
    "trl, padding-free": flagged(gradient_checkpointing=False, padding_free=True),
    "trl, liger": flagged(gradient_checkpointing=False, use_liger_kernel=True),
    "plain loop": plain,
}


def main() -> None:
    setup = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Setup)
    if setup.workload.quantization == "none":
        sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # spares everyone its import
    (CONTENDERS | {"limit": limit})[sys.argv[1]](setup, Turns(setup.device))


if __name__ == "__main__":  # data preparation's processes import this file
    main()
