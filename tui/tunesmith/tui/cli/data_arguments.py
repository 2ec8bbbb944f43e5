"""What the options of `tunesmith data` say, checked and in the form the check takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tunesmith.recipes.errors import DataError, ModelError, nearest

STARTER = "starter"


def model_folder(given: str | None) -> str | None:
    """The folder of a model, `starter` the one that comes with the install. Raises ModelError."""
    from tunesmith.daemon.api.home import Home

    if given is None:
        return None
    folder = Home.find().models / STARTER if given == STARTER else Path(given).expanduser()
    if folder.is_dir():
        return str(folder)
    if given == STARTER:
        raise ModelError(
            "The starter model is not unpacked yet", "`tunesmith quickstart` unpacks it; or give a model's folder."
        )
    raise ModelError(f"There is no folder {folder}", "Give the folder of a downloaded model, or `starter`.")


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
