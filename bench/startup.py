"""How long until something is on screen: help, the wizard's first paint, the daemon. One JSON line a figure.

Run: python bench/startup.py. Medians of RUNS runs; the help is compared with an empty typer program of the same run.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil

from tunesmith.daemon.api.find import ensure_daemon
from tunesmith.daemon.api.home import Home

RUNS = 7
COMMAND = str(Path(sys.executable).with_name("tunesmith"))
EMPTY = "import typer; app = typer.Typer(); app.command()(lambda: None); app()"
COLUMNS, LINES = 100, 30


def figure(name: str, value: float, unit: str, aim: float) -> None:
    print(json.dumps({"figure": name, "value": round(value, 3), "unit": unit, "aim": aim}), flush=True)


def seconds_of(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def help_times() -> tuple[float, float]:
    """Medians of `tunesmith --help` and of an empty typer program's, run in turn."""
    ours, empty = [], []
    for _ in range(RUNS):
        empty.append(seconds_of([sys.executable, "-c", EMPTY, "--help"]))
        ours.append(seconds_of([COMMAND, "--help"]))
    return statistics.median(ours), statistics.median(empty)


def first_paint(home: Path) -> tuple[float, float]:
    """Seconds, and processor seconds, from starting the wizard on a terminal until its rail's first word is written.

    The second says what the first would be on a machine that does nothing else.
    """
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = os.environ | {"TUNESMITH_HOME": str(home), "TERM": "xterm-256color", "LANG": "en_US.UTF-8"}
    environment.pop("NO_COLOR", None)
    began = time.perf_counter()
    wizard = subprocess.Popen(
        [COMMAND], stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True
    )
    os.close(terminal)
    seen = b""
    try:
        while b"Machine" not in seen:
            if time.perf_counter() - began > 20 or wizard.poll() is not None:
                raise SystemExit(f"the wizard painted nothing: {seen[-500:]!r}")
            if select.select([controller], [], [], 0.05)[0]:
                seen += os.read(controller, 65536)
        seconds = time.perf_counter() - began
        used = psutil.Process(wizard.pid).cpu_times()
        return seconds, used.user + used.system
    finally:
        if wizard.poll() is None:
            os.kill(wizard.pid, signal.SIGKILL)
        wizard.wait()
        os.close(controller)


async def daemon_up(home: Path) -> tuple[float, int]:
    """Seconds until a fresh daemon answers, and its resident bytes then."""
    began = time.perf_counter()
    async with await ensure_daemon(Home(home)) as client:
        status = await client.status()
        seconds = time.perf_counter() - began
        process = psutil.Process(status.pid)
        resident = process.memory_info().rss
        await client.stop()
    process.wait(timeout=5)
    return seconds, resident


def main() -> None:
    ours, empty = help_times()
    figure("help_over_empty_typer", ours - empty, "s", 0.15)
    with tempfile.TemporaryDirectory() as folder:
        ups = [asyncio.run(daemon_up(Path(folder) / str(run))) for run in range(RUNS)]
        figure("daemon_up", statistics.median(seconds for seconds, _ in ups), "s", 1.5)
        figure("daemon_idle", statistics.median(resident for _, resident in ups) / 1e6, "MB", 80)
        home = Path(folder) / "wizard"
        paints = [first_paint(home) for _ in range(RUNS)]
        figure("wizard_first_paint", statistics.median(seconds for seconds, _ in paints), "s", 0.5)
        figure("wizard_first_paint_processor", statistics.median(used for _, used in paints), "s", 0.5)
        asyncio.run(stop_if_running(home))


async def stop_if_running(home: Path) -> None:
    """The wizard may have started a daemon; the bench leaves none behind."""
    from tunesmith.daemon.api.find import running

    client = await running(Home(home))
    if client is not None:
        async with client:
            await client.stop()


if __name__ == "__main__":
    main()
