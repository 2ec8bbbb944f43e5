"""systemctl and loginctl for one user, as far as a service needs them: units are read, started and stopped for real.

State lies in $FAKE_MANAGER: `calls` with a command line each, `NAME.pid`, `linger`; `away` makes it answer as a system
without systemd does. $FAKE_NAME says which of the two is meant. Unit files are read by rules of systemd's own (quotes,
%% and $$), not by our writer's.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

STATE = Path(os.environ.get("FAKE_MANAGER", "/nonexistent"))  # imported for `read` it needs none
UNITS = Path(os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))) / "systemd" / "user"


def words(text: str) -> list[str]:
    """Words in double quotes, with backslashes before what they take the meaning from, or without."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', text)
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in found]


def read(name: str) -> dict[str, list[str]]:
    """Settings of the unit, each with its values in order, specifiers resolved."""
    settings: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text("utf-8").splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith(("#", ";", "[")):
            settings.setdefault(key, []).append(value.replace("%%", "%"))
    return settings


def pid_of(name: str) -> int | None:
    """Of the running main process."""
    try:
        pid = int((STATE / f"{name}.pid").read_text())
        return None if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else pid
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None


def start(name: str) -> None:
    if pid_of(name) is not None:
        return
    settings = read(name)
    environment = {"HOME": str(Path.home())}
    for line in settings.get("Environment", []):
        environment.update(word.partition("=")[::2] for word in words(line))
    command = [word.replace("$$", "$") for word in words(settings["ExecStart"][0])]
    # A grandchild, so that nobody of the test's is its parent.
    script = 'cd "$1" || exit 200; shift; setsid "$@" >/dev/null 2>&1 & echo $!'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", settings["WorkingDirectory"][0], *command],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (STATE / f"{name}.pid").write_text(done.stdout.strip())


def stop(name: str) -> None:
    """KillMode=process: the main process alone."""
    pid = pid_of(name)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        for _ in range(2000):
            if pid_of(name) is None:
                break
            time.sleep(0.01)
    (STATE / f"{name}.pid").unlink(missing_ok=True)


def main() -> int:
    with (STATE / "calls").open("a") as calls:
        calls.write(" ".join([os.environ["FAKE_NAME"], *sys.argv[1:]]) + "\n")
    if (STATE / "away").exists():
        print("Failed to connect to bus: No medium found", file=sys.stderr)
        return 1
    if os.environ["FAKE_NAME"] == "loginctl":
        print("yes" if (STATE / "linger").exists() else "no")
        return 0
    user, verb, *rest = sys.argv[1:]
    assert user == "--user"
    wants = UNITS / "default.target.wants"
    match verb, rest:
        case (("show-environment" | "daemon-reload"), []):
            pass
        case "enable", [name]:
            assert read(name)["WantedBy"] == ["default.target"]
            wants.mkdir(exist_ok=True)
            (wants / name).unlink(missing_ok=True)
            (wants / name).symlink_to(UNITS / name)
        case "disable", ["--now", name]:
            stop(name)
            (wants / name).unlink(missing_ok=True)
        case "start", [name]:
            start(name)
        case "restart", [name]:
            stop(name)
            start(name)
        case "is-active", ["--quiet", name]:
            return 0 if pid_of(name) is not None else 3
        case "reset-failed", [name]:
            print(f"Failed to reset failed state of unit {name}: Unit {name} not loaded.", file=sys.stderr)
            return 1
        case _:
            print(f"Unknown command verb '{verb}'.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
