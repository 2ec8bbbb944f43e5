"""Stands in for `tunesmith.daemon.worker.machine`: answers at once, or ends as MEASURING says.

`crash STEP`: dies by a signal at that step unless it is left out, `crash-always STEP` even then; `fail STEP`: ends
there with a message, at once where there is no STEP; `hang`: never answers.
Each start adds a line to the file that STARTS names.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from tunesmith.recipes.measured import DTYPES, LIBRARIES, Doing, Measured, Rate, Surface, TorchDevice, Tried

SEEN = Surface((TorchDevice("xpu", "Intel Arc B580", 12_000_000_000, 11_000_000_000, bf16=True),))
MEASURED = Measured(
    torch="2.13.0",
    device="cpu",
    surface=SEEN,
    products={"float32": Rate(2e11), "bfloat16": Rate(4e10), "float16": Rate(None, "not implemented for 'Half'")},
    memory_copy=Rate(3.2e10),
    disk_write=Rate(5e8),
    works={name: Tried(True, "", 0.5) for name in LIBRARIES},
    seconds=7.5,
)


def main(arguments: list[str]) -> int:
    with Path(os.environ["STARTS"]).open("a") as starts:
        print(" ".join(arguments), file=starts)
    without = {arguments[place + 1] for place, word in enumerate(arguments) if word == "--without"}
    how, _, at = os.environ.get("MEASURING", "").partition(" ")
    failed = "libtorch.so: cannot open shared object file"
    if how == "fail" and not at:
        sys.exit(failed)
    if how == "hang":
        time.sleep(600)
    for step in ("devices", *DTYPES, "memory", "disk", *LIBRARIES):
        if step in without and how != "crash-always":
            continue
        print(msgspec.json.encode(Doing(step)).decode(), flush=True)
        if how in ("crash", "crash-always") and step == at:
            os.kill(os.getpid(), signal.SIGILL)
        if how == "fail" and step == at:
            sys.exit(failed)
        if step == "devices" and "--devices" in arguments:
            print(msgspec.json.encode(SEEN).decode())
            return 0
    works = {name: Tried(name not in without, "it ended the process" * (name in without), 0.5) for name in LIBRARIES}
    print(msgspec.json.encode(msgspec.structs.replace(MEASURED, works=works)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
