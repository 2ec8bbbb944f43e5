"""What the options of `tunesmith data` say, checked and in the form the check takes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.recipes.errors import DataError, ModelError, nearest

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home

STARTER = "starter"


def model_folder(given: str | None) -> str | None:
    """The folder of a model, `starter` the one that comes with the install. Raises ModelError."""
    from tunesmith.daemon.api.home import Home

    if given is None:
        return None
    if given == STARTER:
        home = Home.find()
        if not (home.models / STARTER).is_dir():
            unpack_starter(home)
        return str(home.models / STARTER)
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise ModelError(f"There is no folder {folder}", "Give the folder of a downloaded model, or `starter`.")
    return str(folder)


def unpack_starter(home: Home) -> None:
    """Have the worker make the starter's folder; the engine that this takes stays out of this process."""
    import subprocess

    import msgspec

    from tunesmith.recipes.errors import ErrorBody
    from tunesmith.tui.cli.render import err

    err().print("unpacking the starter model: once, less than a minute")
    command = [sys.executable, "-m", "tunesmith.daemon.worker.unpack", "starter", str(home.root)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return
    lines = done.stdout.strip().splitlines()
    try:
        error = msgspec.json.decode(lines[-1], type=ErrorBody) if lines else None
    except msgspec.DecodeError:
        error = None
    if error is not None:
        raise ModelError(error.message, error.hint, error.code)
    said = done.stderr.strip().splitlines()
    raise ModelError(
        f"The starter model cannot be unpacked: {said[-1] if said else 'no reason given'}", "Try: tunesmith doctor."
    )


def mapping(given: Iterable[str] | None) -> dict[str, str]:
    """`column=field` each. Raises DataError."""
    pairs: dict[str, str] = {}
    for item in given or ():
        column, equals, field = (side.strip() for side in item.rpartition("="))
        if not (column and equals and field):
            raise DataError(f"'{item}' does not say which column is which field", "For example: --map text=response.")
        if column in pairs:
            raise DataError(f"The column '{column}' is mapped twice", "Map each column once.")
        pairs[column] = field
    return pairs


def trained(given: str) -> str:
    from tunesmith.recipes.spec import TRAINED

    return one_of(given, TRAINED, "--trained")


def over_long(given: str) -> str:
    from tunesmith.recipes.spec import OVER_LONG

    return one_of(given, OVER_LONG, "--over-long")


def one_of(given: str, known: tuple[str, ...], option: str) -> str:
    """Raises DataError."""
    if given not in known:
        raise DataError(f"{option} knows no '{given}'", nearest(given, known))
    return given


def listed(given: Iterable[str] | None) -> tuple[str, ...]:
    """The values of an option that takes several, by commas or by repeating it; each once."""
    return tuple(dict.fromkeys(item.strip() for several in given or () for item in several.split(",") if item.strip()))
