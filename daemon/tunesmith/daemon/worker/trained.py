"""What a training came to: `training.json` beside the artifacts, from which a later run can begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon import publish
from tunesmith.recipes import again
from tunesmith.recipes.errors import MachineError, ModelError

FILE = again.TRAINING
FORMAT = "tunesmith-training"
FORMAT_VERSION = 1


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """`steps` of `total_steps` were taken: fewer where a person stopped and kept it, none in a merge. `base` is the
    base model's fingerprint, `weights` that of the trained weights (empty of a merge), `tuner` the recipe's. `inexact`
    says why the result is not, to the bit, that of a run that was never stopped.
    """

    steps: int
    total_steps: int
    base: str
    weights: str
    tuner: dict[str, Any]
    inexact: tuple[str, ...] = ()
    format: str = FORMAT
    version: int = FORMAT_VERSION

    @property
    def stopped_early(self) -> bool:
        return self.steps < self.total_steps


def encode(trained: Trained) -> str:
    return msgspec.json.format(msgspec.json.encode(trained)).decode() + "\n"


def read(artifacts: Path) -> Trained:
    """What made the artifacts in this folder. Raises ModelError when nobody can know, MachineError when damaged."""
    path = artifacts / FILE
    if not path.is_file():
        raise ModelError(
            f"{artifacts} has no {FILE}, so nobody can say what its weights were trained on",
            "Begin from a run of this version: run its recipe again first.",
        )
    publish.verify_file(path)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Trained)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MachineError(f"{path} cannot be read: {error}", "Run its recipe again.", publish.CORRUPT) from error
    if found.format != FORMAT or found.version > FORMAT_VERSION:
        raise MachineError(f"{path} is of version {found.version}", "Update Tunesmith.", publish.NEWER)
    return found
