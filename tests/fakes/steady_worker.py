"""A worker that says as many steps a second as its job's name says (`rate=1000`), evenly, until it is cancelled.

With `first=5000` it has said so many before.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.recipes.spec import JobSpec

AT_ONCE = 5000  # lines a turn, while it catches up
TURN_S = 0.01  # sleeping for a single event would cost more than writing it


def main() -> None:
    folder, attempt = Path(sys.argv[1]), int(sys.argv[2])
    spec = msgspec.json.decode((folder / "spec.json").read_bytes(), type=JobSpec)
    how = dict(part.partition("=")[::2] for part in spec.name.split())
    rate, first = float(how["rate"]), int(how.get("first", "0"))
    journal = (folder / f"journal-{attempt}.jsonl").open("ab", buffering=0)
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    began, step = time.monotonic(), 0
    while not told:
        lines = []
        due = first + (time.monotonic() - began) * rate
        while step < due and len(lines) < AT_ONCE:
            step += 1
            event = e.TrainStep(
                time=time.time(), step=step, total_steps=10**7, epoch=step / 10**5, loss=2.0 / step,
                learning_rate=1.234e-4, gradient_norm=1.2345, tokens_per_second=1234.5, memory_bytes=10**10, eta_s=1e4,
                padding_share=0.0125, flops_per_second=5.4321e10, limit_share=0.5432, token_accuracy=0.98765,
            )  # fmt: skip
            lines.append(e.encode(event) + b"\n")
        journal.write(b"".join(lines))
        time.sleep(TURN_S)
    journal.write(e.encode(e.Cancelled(time=time.time())) + b"\n")


if __name__ == "__main__":
    main()
