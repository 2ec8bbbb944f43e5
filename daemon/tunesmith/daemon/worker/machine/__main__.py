"""`python -m tunesmith.daemon.worker.machine <folder> [--devices] [--without STEP]...`: measures, then ends.

A `Doing` as JSON a line on standard output for each step, then one `Measured`, or a `Surface` with --devices. `folder`
is where the disk is measured. A step named by --without is not taken: it ended this process before.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tunesmith.daemon.worker import load, processor
from tunesmith.daemon.worker.machine import libraries, rates, surface
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.measured import DTYPES, LIBRARIES, Doing, Measured, Rate, Surface, Tried
from tunesmith.recipes.spec import TrainingSpec

Told = TypeVar("Told")


def main(arguments: list[str]) -> int:
    began = time.perf_counter()
    lines = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is not for the reader
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started here is ended too
    # Offline, and otherwise as training has it, so that its rates are those.
    os.environ.update(HF_HUB_OFFLINE="1", **processor.environment(granted_cores()))
    if arguments[:1] == ["--compile"]:
        libraries.compile_here(arguments[1])
        return 0
    folder = Path(arguments[0])
    without = {arguments[place + 1] for place, word in enumerate(arguments) if word == "--without"}

    def take(step: str, left_out: Callable[[str], Told], act: Callable[..., Told], *arguments: Any) -> Told:
        """`act(*arguments)`, or what `left_out` makes of the reason why there is no answer."""
        if step in without:
            return left_out("it ended the process that tried it")
        lines.write(msgspec.json.encode(Doing(step)) + b"\n")
        try:
            return act(*arguments)
        except Exception as error:  # noqa: BLE001 - what is measured may fail in any way, and each way is an answer
            return left_out(libraries.said(error))

    seen = take("devices", refused, surface.look)
    if "--devices" in arguments:
        lines.write(msgspec.json.encode(seen) + b"\n")
        return 0
    import torch

    device = load.device(TrainingSpec())
    measured = Measured(
        torch=str(torch.__version__),
        device=device,
        surface=seen,
        products={name: take(name, none, rates.product, device, name) for name in DTYPES},
        memory_copy=take("memory", none, rates.memory_copy, device),
        disk_write=take("disk", none, rates.disk_write, folder),
        works={name: take(name, failed, libraries.attempt, name, device) for name in LIBRARIES},
        seconds=0.0,
    )
    measured = msgspec.structs.replace(measured, seconds=round(time.perf_counter() - began, 2))
    lines.write(msgspec.json.encode(measured) + b"\n")
    return 0


def refused(why: str) -> Surface:
    return Surface(refused={"torch": why})


def none(why: str) -> Rate:
    return Rate(None, why)


def failed(why: str) -> Tried:
    return Tried(False, why, 0.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
