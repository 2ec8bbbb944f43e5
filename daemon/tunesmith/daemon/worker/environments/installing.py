"""One environment made by Python's venv and pip: with the person's own index settings, and marked whole at the end.

pip finds in it the packages that it is lent, and installs what these do not satisfy; it never changes them. torch stays
the one that is lent: a requirement that it does not satisfy is refused, as the package index might offer a build of
several gigabytes for devices that this machine does not have.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api import offline
from tunesmith.daemon.api.environments import WHOLE
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes.errors import MachineError, TunesmithError
from tunesmith.recipes.words import say

SITE = ("site-packages", "dist-packages")
KEPT = ("torch",)  # as it is lent
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")  # settings that would install into another place
ALONE = "-I"  # Python without PYTHONPATH: what is found there now may not be when the environment is used
CLOSED = ("--no-deps", "--no-build-isolation", "--use-pep517")
BUILDING = "Failed building wheel for "  # pip's words
BROKE = ("fatal error:", "RuntimeError:", "error: command")  # a compiler's, and of what calls one; the best comes first
TOLD = ("Collecting ", "Downloading ", "Building wheel for ", "Installing collected packages")
CODE = "tool_not_installed"
Tell = Callable[[str], None]


def lent() -> list[Path]:
    """The folders of packages of this Python."""
    return [folder for folder in map(Path, dict.fromkeys(sys.path)) if folder.name in SITE and folder.is_dir()]


def unmark(folder: Path) -> None:
    (folder / WHOLE).unlink(missing_ok=True)


class Tool(msgspec.Struct, frozen=True):
    """`requirements` is pip's file with exact versions; `bytes` what the environment takes, with some room.

    `leave_out` says what a person can do without it. `closed`: nothing but the file is looked for, and what comes as
    source is built with what is lent and `builds_with` from the system.
    """

    key: str
    requirements: Path
    bytes: int
    leave_out: str
    closed: bool = False
    builds_with: str = "a C compiler and Python's headers (Debian: build-essential, python3-dev)"


def make(tool: Tool, folder: Path, wheels: Path, tell: Tell) -> None:
    """Whatever was left of an earlier attempt goes first. `wheels` are a person's own. Raises MachineError."""
    if folder.exists():
        unmark(folder)
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with_venv(tool, folder, tell)
        told = with_pip(tool, folder, wheels, tell)
        synced(tool, folder, tell)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    publish.write_whole(folder / WHOLE, msgspec.json.encode({"tool": tool.key, "pip": told}))


def with_venv(tool: Tool, folder: Path, tell: Tell) -> None:
    note = say("tool_environment", "{tool}: making an environment for it", tool=tool.key)
    try:
        own = [] if not version("pip") else ["--without-pip"]  # pip is lent too where there is one
        run_watched([sys.executable, "-m", "venv", *own, str(folder)], folder.parent, lambda: tell(note))
    except TunesmithError as error:
        raise MachineError(
            f"Python could not make an environment for {tool.key}",
            "Install your system's package of Python's venv module (Debian: python3-venv), then run it again.",
            CODE,
        ) from error
    site = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder), "platbase": str(folder)}))
    (site / "lent.pth").write_text("".join(f"{path}\n" for path in lent()), "utf-8")


def with_pip(tool: Tool, folder: Path, wheels: Path, tell: Tell) -> str:
    """What pip says it installed. Raises MachineError."""
    log = folder / "pip.log"
    with log.open("w", encoding="utf-8") as out, log.open(encoding="utf-8", errors="replace") as written:
        said: list[str] = []
        note = say("tool_looks", "{tool}: looking at what it needs", tool=tool.key)

        def look() -> None:
            nonlocal note
            for line in iter(written.readline, ""):
                print(line, end="", file=sys.stderr, flush=True)
                said.append(line.strip())
                if said[-1].startswith(TOLD):
                    note = say("tool_step", "{tool}: {step}", tool=tool.key, step=short(said[-1]))
            tell(note)

        try:
            run_watched(command(tool, folder, wheels), folder, look, out=out, environment=settings())
        except TunesmithError as error:
            look()
            raise refusal(tool, wheels, said) from error
        look()
    return next((line for line in reversed(said) if line.startswith("Successfully installed")), "")


def command(tool: Tool, folder: Path, wheels: Path) -> list[str]:
    kept = folder / "lent.txt"
    kept.write_text("".join(f"{name}=={found}\n" for name in KEPT if (found := version(name))), "utf-8")
    more = ["--no-index"] if is_offline() else []
    more += CLOSED if tool.closed else ()
    if wheels.is_dir():
        more += ["--find-links", str(wheels)]
    return [
        str(folder / "bin" / "python"), ALONE, "-m", "pip", "install", "--no-input", "--disable-pip-version-check",
        "--progress-bar", "off", "--constraint", str(kept), "--requirement", str(tool.requirements), *more,
    ]  # fmt: skip


def synced(tool: Tool, folder: Path, tell: Tell) -> None:
    """Thousands of small files on the disk, before the mark that says so; in a process, as others' may take long."""
    note = say("tool_written", "{tool}: writing it to the disk", tool=tool.key)
    run_watched([sys.executable, ALONE, "-c", "import os; os.sync()"], folder, lambda: tell(note))


def version(name: str) -> str:
    """Of a package that is lent, with what tells its build; empty where there is none."""
    return next((one.version for one in metadata.distributions(name=name, path=[str(path) for path in lent()])), "")


def version_in(folder: Path, name: str) -> str:
    """Of a package that the environment itself has; empty where there is none."""
    found = metadata.distributions(name=name, path=[str(path) for path in folder.glob("lib/python*/site-packages")])
    return next((one.version for one in found), "")


def settings() -> dict[str, str]:
    """The person's own, such as an index of their own or a folder of wheels, but for where to install."""
    return {key: value for key, value in os.environ.items() if key not in ELSEWHERE}


def is_offline() -> bool:
    """Whether a person forbade connections; a worker forbids them to libraries always."""
    return offline.is_offline({offline.VARIABLE: os.environ.get(offline.VARIABLE, "")})


def short(line: str) -> str:
    """What pip is at, without what wants it."""
    return line.partition(" (from ")[0].partition(":")[0][:100]


def refusal(tool: Tool, wheels: Path, said: list[str]) -> MachineError:
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR:")]
    reason = errors[0][:300] if errors else "pip ended with an error"
    if built := next((error.removeprefix(BUILDING) for error in errors if error.startswith(BUILDING)), ""):
        broke = next((f": {line[:200]}" for sign in BROKE for line in said if sign in line), "")
        return MachineError(
            f"{tool.key} cannot be installed: {built} comes as source and could not be built here{broke}",
            f"Install {tool.builds_with}, then run it again; or put wheels into {wheels} that `pip wheel --no-deps -r "
            f"{tool.requirements} -w {wheels}` made on a like machine that has them; or {tool.leave_out}.",
            CODE,
        )
    fetched = f"`pip download --no-deps -r {tool.requirements} -d {wheels}`"
    if is_offline():
        hint = f"It is offline: on a machine with a network run {fetched} and copy the folder, or {tool.leave_out}."
    else:
        hint = (
            "Check the network and pip's settings, of which index and proxy count here; or put the packages into "
            f"{wheels} ({fetched}); or {tool.leave_out}."
        )
    return MachineError(f"{tool.key} cannot be installed: {reason}", hint, CODE)
