"""Asking a service manager's command, and what is said when there is none or it refuses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from tunesmith.recipes.errors import MachineError

PATIENCE_S = 60.0  # a restart waits for the daemon's own end, seconds


def ask(*command: str) -> subprocess.CompletedProcess[str]:
    """Run `command` and hand back what it said. Raises MachineError (no_service_manager) when it is not there."""
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S,
            env=os.environ | {"LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise absent(f"there is no `{command[0]}`") from error
    except subprocess.TimeoutExpired as error:
        raise failed(command, f"no answer in {PATIENCE_S:.0f} s") from error


def demand(*command: str) -> str:
    """What `command` printed. Raises MachineError (service_failed) unless it went well."""
    done = ask(*command)
    if done.returncode:
        raise failed(command, said(done))
    return done.stdout.strip()


def said(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
    return lines[-1].strip()


def absent(why: str) -> MachineError:
    return MachineError(
        f"The daemon cannot be installed as a service here: {why}",
        "It starts by itself whenever it is needed. To have it after every start of the machine, let whatever starts "
        "your programs (a container's entry point, cron's @reboot) run `tunesmith daemon start`.",
        "no_service_manager",
    )


def failed(command: Sequence[str], why: str) -> MachineError:
    shown = " ".join(command)
    return MachineError(f"`{shown}` did not go well: {why}", f"Run `{shown}` yourself to see more.", "service_failed")
