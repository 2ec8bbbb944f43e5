"""Offline: whether a person forbade connections, and what is said of what would need one."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.recipes.errors import MachineError

VARIABLE = "TUNESMITH_OFFLINE"
VARIABLES = (VARIABLE, "HF_HUB_OFFLINE")
YES = frozenset({"1", "true", "yes", "on"})


def is_offline(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name, "").strip().lower() in YES for name in VARIABLES)


def refusal(what: str, way_out: str) -> MachineError:
    """`what` is a sentence without its full stop."""
    return MachineError(f"{what}, and this is offline ({' or '.join(VARIABLES)} or --offline)", way_out, "offline")


def lacks(model: str, folder: str) -> MachineError:
    """Of a model that would have to be fetched; `folder` is the home's."""
    return refusal(
        f"The model {model} is not on this machine",
        f"On a machine with a network run `tunesmith models pull {model}`, copy its models folder over {folder} with "
        "hard links kept (rsync -aH), or copy the model's folder and: tunesmith models import FOLDER.",
    )
