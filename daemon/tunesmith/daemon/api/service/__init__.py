"""The daemon as a service of the person's own: started at login and again after a crash, by systemd or launchd.

Nothing here asks for more rights than the person has: a systemd user unit, a launchd agent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import msgspec

from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.api.service import launchd, systemd
from tunesmith.daemon.api.service.asking import absent
from tunesmith.daemon.api.service.naming import Place
from tunesmith.recipes.errors import MachineError


class Manager(msgspec.Struct, frozen=True):
    """`text` is what the file at `place` says. All but `place` and `text` raise MachineError (code
    no_service_manager, service_failed).

    `enable` starts it now and at every login, in place of one that runs already; `disable` is the opposite and may be
    called when there is nothing; `advice` says what else a person should do, or nothing.
    """

    key: str
    place: Callable[[Home], Place]
    text: Callable[[Home], bytes]
    refuse_absent: Callable[[], None]
    enable: Callable[[Place], None]
    disable: Callable[[Place], None]
    start: Callable[[Place], None]
    active: Callable[[Place], bool]
    advice: Callable[[], str]


SYSTEMD = Manager(
    "systemd", systemd.place, systemd.text, systemd.refuse_absent, systemd.enable, systemd.disable, systemd.start,
    systemd.active, systemd.advice,
)  # fmt: skip
LAUNCHD = Manager(
    "launchd", launchd.place, launchd.text, launchd.refuse_absent, launchd.enable, launchd.disable, launchd.start,
    launchd.active, launchd.advice,
)  # fmt: skip


def manager() -> Manager:
    """Of this system. Raises MachineError (code no_service_manager) where neither can be."""
    if sys.platform == "darwin":
        return LAUNCHD
    if sys.platform.startswith("linux"):
        return SYSTEMD
    raise absent(f"{sys.platform} has neither systemd nor launchd")


def installed(home: Home) -> Place | None:
    """Where the service of `home` is written down, None when it is not."""
    try:
        place = manager().place(home)
    except MachineError:
        return None
    return place if place.file.exists() else None


def write(home: Home) -> bool:
    """Write the service down; False when it was there as it is. Raises MachineError, OSError."""
    chosen = manager()
    chosen.refuse_absent()
    private_folder(home.root)
    file, text = chosen.place(home).file, chosen.text(home)
    if file.exists() and file.read_bytes() == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    staged.touch(mode=0o600)  # proxies may have passwords in them
    staged.write_bytes(text)
    staged.replace(file)
    return True


def remove(home: Home) -> bool:
    """Stop the service and take every trace of it away; False when there was none. Raises MachineError, OSError."""
    chosen = manager()
    place = chosen.place(home)
    if not place.file.exists():
        return False
    chosen.disable(place)
    place.file.unlink(missing_ok=True)
    return True


def start(home: Home) -> bool:
    """Have the manager start the service; False when none is installed or the manager cannot be asked."""
    place = installed(home)
    if place is None:
        return False
    try:
        manager().start(place)
    except MachineError:  # a container that shares the home, a session without a bus: the caller has another way
        return False
    return True
