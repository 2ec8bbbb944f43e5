"""The daemon as a launchd agent."""

from __future__ import annotations

import os
import plistlib
import sys
import time
from pathlib import Path

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.service.asking import absent, ask, demand, failed, said
from tunesmith.daemon.api.service.naming import Place, environment, suffix

UNLOADED_WITHIN_S = 30.0  # launchd unloads behind our back: the daemon's own end, and some more


def place(home: Home) -> Place:
    name = f"tunesmith.daemon{suffix(home)}"
    return Place(name, Path("~/Library/LaunchAgents").expanduser() / f"{name}.plist")


def text(home: Home) -> bytes:
    said_at_start = str(home.root / "daemon-start.log")
    return plistlib.dumps(
        {
            "Label": place(home).name,
            "ProgramArguments": [sys.executable, "-m", "tunesmith.daemon"],
            "EnvironmentVariables": environment(home, os.environ),
            "WorkingDirectory": str(home.root),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            # Background would hold the workers to slow cores and slow disks too, and training was asked for.
            "ProcessType": "Interactive",
            "AbandonProcessGroup": True,  # workers go on when the daemon is stopped
            "ExitTimeOut": 20,
            "Umask": 0o077,
            "StandardOutPath": said_at_start,
            "StandardErrorPath": said_at_start,
        }
    )


def refuse_absent() -> None:
    done = ask("launchctl", "print", f"user/{os.getuid()}")
    if done.returncode:
        raise absent(f"launchd does not answer for your user ({said(done)})")


def domain() -> str:
    """The session at the screen where there is one: it has the keychain and the GPU's services."""
    screen = f"gui/{os.getuid()}"
    return screen if ask("launchctl", "print", screen).returncode == 0 else f"user/{os.getuid()}"


def enable(place: Place) -> None:
    where = domain()
    _unload(where, place)
    demand("launchctl", "enable", f"{where}/{place.name}")
    demand("launchctl", "bootstrap", where, str(place.file))


def disable(place: Place) -> None:
    _unload(domain(), place)


def start(place: Place) -> None:
    demand("launchctl", "kickstart", f"{domain()}/{place.name}")


def active(place: Place) -> bool:
    done = ask("launchctl", "print", f"{domain()}/{place.name}")
    return done.returncode == 0 and "state = running" in done.stdout


def advice() -> str:
    return ""


def _unload(where: str, place: Place) -> None:
    service = f"{where}/{place.name}"
    if ask("launchctl", "print", service).returncode:
        return
    ask("launchctl", "bootout", service)  # says "in progress" where it takes a while
    until = time.monotonic() + UNLOADED_WITHIN_S
    while ask("launchctl", "print", service).returncode == 0:
        if time.monotonic() > until:
            raise failed(("launchctl", "bootout", service), f"still there after {UNLOADED_WITHIN_S:.0f} s")
        time.sleep(0.1)
