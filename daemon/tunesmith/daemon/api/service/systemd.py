"""The daemon as a systemd user unit."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.service.asking import absent, ask, demand, said
from tunesmith.daemon.api.service.naming import Place, environment, suffix
from tunesmith.recipes.errors import MachineError

USER = ("systemctl", "--user")
# KillMode: workers go on when the daemon is stopped or started anew. OOMPolicy: one that the system ends for memory
# does not end the rest. Delegate: each worker may have a control group of its own; the daemon lies in one beside
# them, because a group with processes in it cannot hand memory limits on. RestartPreventExitStatus: 1 is a reason
# that a person has to see to, such as a database of a newer version.
UNIT = """\
[Unit]
Description=Tunesmith: fine-tuning on this machine
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart={command}
WorkingDirectory={folder}
{environment}
UMask=0077
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=1
TimeoutStopSec=20
KillMode=process
OOMPolicy=continue
Delegate=memory
DelegateSubgroup=daemon

[Install]
WantedBy=default.target
"""


def place(home: Home) -> Place:
    name = f"tunesmith{suffix(home)}.service"
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Place(name, Path(config).expanduser() / "systemd" / "user" / name)


def text(home: Home) -> bytes:
    """Raises MachineError for a path that no unit can hold."""
    command = [sys.executable, "-m", "tunesmith.daemon"]
    kept = environment(home, os.environ)
    for value in (*command, *kept.values()):
        if any(ord(character) < 32 for character in value):
            raise MachineError(f"A unit cannot hold {value!r}", "Choose a path without control characters.")
    return UNIT.format(
        command=" ".join(quoted(part).replace("$", "$$") for part in command),
        folder=str(home.root).replace("%", "%%"),
        environment="\n".join(f"Environment={quoted(f'{key}={value}')}" for key, value in sorted(kept.items())),
    ).encode("utf-8", "surrogateescape")


def quoted(value: str) -> str:
    """As one word of a unit file."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def refuse_absent() -> None:
    done = ask(*USER, "show-environment")
    if done.returncode:
        raise absent(f"systemd does not answer for your user ({said(done)})")


def enable(place: Place) -> None:
    demand(*USER, "daemon-reload")
    demand(*USER, "enable", place.name)
    demand(*USER, "restart", place.name)


def disable(place: Place) -> None:
    """Where systemd does not answer there is nothing that runs: only what `enable` linked is taken away."""
    if ask(*USER, "show-environment").returncode == 0:
        demand(*USER, "disable", "--now", place.name)
        place.file.unlink(missing_ok=True)
        demand(*USER, "daemon-reload")
        ask(*USER, "reset-failed", place.name)  # complains where nothing had failed
    for wanted in place.file.parent.glob(f"*.wants/{place.name}"):
        wanted.unlink()


def start(place: Place) -> None:
    demand(*USER, "start", place.name)


def active(place: Place) -> bool:
    return ask(*USER, "is-active", "--quiet", place.name).returncode == 0


def advice() -> str:
    """Without lingering systemd ends everything of a person when the last session does."""
    try:
        done = ask("loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value")
    except MachineError:
        return ""
    if done.stdout.strip() != "no":
        return ""
    return "It runs while you are logged in. To let runs go on after you log out: loginctl enable-linger"
