"""`python tests/faults/soak.py --cycles 1000` or `--hours 1`: daemons killed under clients, then every promise checked.

Ends with 1 when a promise was broken; the home is left where it is then. SIGTERM ends the storm early, not the check.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
sys.path.insert(0, str(Path(__file__).parent))

from dice import SEED, dice
from storm import Storm

MEMORY_LIMIT_BYTES = 50_000_000  # I9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--hours", type=float, help="in place of a number of cycles")
    parser.add_argument("--clients", type=int, default=8)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-soak-"))
    until = time.monotonic() + (asked.hours or 0) * 3600

    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))

    def another(cycle: int) -> bool:
        return not told and (time.monotonic() < until if asked.hours else cycle < asked.cycles)

    os.nice(10)  # an hour of it leaves the machine to others
    print(f"seed {SEED} (TUNESMITH_FAULT_SEED), {asked.clients} clients, in {folder}", flush=True)
    storm = Storm(folder, asked.clients, dice("soak"))
    outcome = asyncio.run(storm.run(another, lambda text: print(text, flush=True)))
    print(f"{outcome.cycles} kills in {outcome.seconds:.0f} s, slowest start {outcome.slowest_start_s:.1f} s")
    print(f"{outcome.jobs} jobs ({outcome.finished} finished), {outcome.acknowledged} acknowledged submits")
    print(f"{outcome.events_seen} events seen by clients")
    print(f"daemon: {outcome.memory_grown / 1e6:.1f} MB and {outcome.descriptors_grown} descriptors more than fresh")
    broken = [*outcome.violations]
    if outcome.memory_grown > MEMORY_LIMIT_BYTES or outcome.descriptors_grown > 0:
        broken.append("I9: memory or descriptors grew")
    print("\n".join(broken) or "no promise was broken")
    if not broken:
        shutil.rmtree(folder)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
