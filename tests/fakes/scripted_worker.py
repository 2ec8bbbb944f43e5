"""A worker that says what `histories` says, by its clock: the first word of its job's name tells which run."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import histories
import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.recipes.spec import JobSpec

STEPS_TAKEN = 41
BY_THE_DAEMON = (e.Queued, e.Started, e.Forecasted, e.Gauged)


def script(name: str) -> list[e.Event]:
    scripts = {"whole": histories.finished, "better": histories.better, "broken": histories.failed}
    return scripts.get(name.partition(" ")[0], lambda: histories.training(STEPS_TAKEN))()


def main() -> None:
    folder, attempt = Path(sys.argv[1]), int(sys.argv[2])
    name = msgspec.json.decode((folder / "spec.json").read_bytes(), type=JobSpec).name
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    events = [event for event in script(name) if not isinstance(event, BY_THE_DAEMON)]
    with (folder / f"journal-{attempt}.jsonl").open("ab", buffering=0) as journal:
        for event in events:
            journal.write(e.encode(event) + b"\n")
        while not (told or isinstance(events[-1], e.TERMINAL)):
            time.sleep(0.05)


if __name__ == "__main__":
    main()
