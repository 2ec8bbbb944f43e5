"""What the wizard costs: keys under load, scrolling of long lists, memory. One JSON line a figure.

Run: python bench/tui.py [--presses 60] [--rounds 3] [--only keys,jobs,models,memory,paint]
The wizard runs on a real pty. `keys` and `memory` have a real daemon under it whose worker says 1000 events a second.
A key is timed from writing it to the first byte of what only its answer draws. Each figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/fakes"))

from daemon_process import DaemonProcess
from startup import COMMAND, first_paint
from terminal import Terminal, Took, share

RATE = 1000  # events a second
LONG_RUN = 100_000  # events before the wizard opens
LISTED = 10_000  # jobs, models
SETTLE_S = 2.0
BETWEEN_S = 0.07  # no multiple of the 100 ms at which the screen is drawn: keys fall anywhere in it
ESCAPE = "\x1b"
CHART = "each step"  # of its legend
DOWN, PAGE_DOWN = "\x1b[B", "\x1b[6~"
# (key, what only its answer draws): there from the run with its chart, and back to it.
THERE_AND_BACK = (
    ("w", "Speed", "w", CHART), ("?", "Keys", "?", CHART), ("2", "Choose a method", "6", CHART),
)  # fmt: skip
Figures = Iterator[tuple[str, float, str, float]]


def figure(name: str, value: float, unit: str, aim: float) -> None:
    print(json.dumps({"figure": name, "value": round(value, 3), "unit": unit, "aim": aim}), flush=True)


@contextmanager
def wizard_over_a_busy_daemon(rate: int, events: int = 0) -> Iterator[Terminal]:
    """The wizard shows the run of a worker that says `rate` events a second and has said `events` before."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        daemon = DaemonProcess(Path(folder) / "home", TUNESMITH_WORKER_MODULE="steady_worker")
        runner.run(daemon.start())
        try:
            name = f"rate={rate} first={events}"
            runner.run(daemon.submit(name))
            runner.run(daemon.until_step(1, max(1, events)))
            with Terminal([COMMAND], TUNESMITH_HOME=str(daemon.home.root)) as terminal:
                terminal.wait(CHART)
                time.sleep(SETTLE_S)
                yield terminal
        finally:
            runner.run(daemon.tidy())


def keys(presses: int) -> Figures:
    """Keys on the run while events arrive and its chart is drawn."""
    with wizard_over_a_busy_daemon(RATE) as terminal:
        times: list[Took] = []
        began, used = time.monotonic(), terminal.processor_s()
        for turn in range(presses):
            there, seen, back, seen_back = THERE_AND_BACK[turn % len(THERE_AND_BACK)]
            times.append(terminal.press(there, seen))
            time.sleep(BETWEEN_S)
            times.append(terminal.press(back, seen_back))
            time.sleep(BETWEEN_S)
        passed, used = time.monotonic() - began, terminal.processor_s() - used
        yield from shares("key", times)
        yield "processor_share", used / passed, "cores", 0.5


def shares(name: str, times: Sequence[Took]) -> Figures:
    for part in (0.5, 0.95):
        yield f"{name}_p{part * 100:.0f}", share([took.seconds for took in times], part) * 1000, "ms", 50
        used = share([took.processor_s for took in times], part)
        yield f"{name}_p{part * 100:.0f}_processor", used * 1000, "ms", 50


def memory(presses: int) -> Figures:
    """The wizard's resident memory after a long run was taken up and followed on."""
    with wizard_over_a_busy_daemon(RATE, LONG_RUN) as terminal:
        time.sleep(presses / 4)
        status = Path(f"/proc/{terminal.process.pid}/status")
        yield "memory", psutil.Process(terminal.process.pid).memory_info().rss / 1e6, "MB", 120
        if status.exists():
            peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
            yield "memory_peak", int(peak.split()[1]) * 1024 / 1e6, "MB", 120


def scrolling(what: str, presses: int) -> Figures:
    """Down, down, down, then whole pages, through a list of 10 000."""
    with Terminal([sys.executable, __file__, "--show", what]) as terminal:
        terminal.wait(name_of(0))
        time.sleep(SETTLE_S)
        down = [terminal.press(DOWN, name_of(row)) for row in range(1, presses + 1)]
        pages = []
        for _ in range(10):
            pages.append(terminal.press(PAGE_DOWN, "run-" if what == "jobs" else "model-"))
            time.sleep(BETWEEN_S)
        yield from shares(f"{what}_down", down)
        yield from shares(f"{what}_page", pages)
        yield f"{what}_memory", psutil.Process(terminal.process.pid).memory_info().rss / 1e6, "MB", 120


def name_of(row: int) -> str:
    return f"-{row:05}"


def paint(presses: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        wall, used = first_paint(Path(folder))
        yield "first_paint", wall, "s", 0.5
        yield "first_paint_processor", used, "s", 0.5


def show(what: str) -> None:
    """The wizard itself, at a list that is too long."""
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui import frames

    frames.soon()
    from tunesmith.tui.app import TunesmithApp

    with tempfile.TemporaryDirectory() as folder:
        app = TunesmithApp(Home(Path(folder)))
        (long_jobs if what == "jobs" else long_catalogue)(app)
        app.run()


def long_jobs(app: object) -> None:
    from histories import finished
    from live import FakeClient
    from textual.app import App

    from tunesmith.daemon.api.listing import Lines, line_of
    from tunesmith.tui.screens.jobs import JobsScreen

    class Many(FakeClient):
        async def lines(self, after: str = "") -> Lines:
            """As the daemon: all of them once, then what has changed."""
            return Lines("all", () if after else listed, whole=not after)

    import msgspec

    client = Many(one=finished())
    line = line_of(asyncio.run(client.job(1)))
    listed = tuple(msgspec.structs.replace(line, id=LISTED - row, name=f"run{name_of(row)}") for row in range(LISTED))
    assert isinstance(app, App)
    app.call_after_refresh(lambda: app.push_screen(JobsScreen(client.clients)))


def long_catalogue(app: object) -> None:
    import msgspec
    from textual.app import App

    from tunesmith.recipes.models import catalogue
    from tunesmith.tui.screens.model import ModelStep
    from tunesmith.tui.screens.wizard import WizardScreen

    entry = catalogue.catalogue()[0]
    entries = tuple(
        msgspec.structs.replace(entry, huggingface=name, modelscope=name)
        for name in (f"owner/model{name_of(row)}" for row in range(LISTED))
    )
    catalogue.catalogue = lambda: entries  # type: ignore[assignment]
    assert isinstance(app, App)

    async def open_list() -> None:
        frame = app.screen
        assert isinstance(frame, WizardScreen)
        await frame.open("model")
        step = frame.query_one(ModelStep)
        step.listing = True
        step._show_choice()
        step.query_one("#models").focus()

    app.call_after_refresh(open_list)


BENCHES: dict[str, Callable[[int], Figures]] = {
    "paint": paint,
    "keys": keys,
    "jobs": lambda presses: scrolling("jobs", presses),
    "models": lambda presses: scrolling("models", presses),
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presses", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(BENCHES))
    parser.add_argument("--show", default="")
    chosen = parser.parse_args()
    if chosen.show:
        show(chosen.show)
        return
    print(json.dumps({"load_before": os.getloadavg()[0], "processors": os.cpu_count()}), flush=True)
    for name in chosen.only.split(","):
        rounds = [list(BENCHES[name](chosen.presses)) for _ in range(chosen.rounds)]
        for made in zip(*rounds, strict=True):
            figure(made[0][0], statistics.median(value for _, value, _, _ in made), *made[0][2:])


if __name__ == "__main__":
    main()
