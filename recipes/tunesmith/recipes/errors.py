"""The exceptions a person may see; each says what happened and what to do next.

TunesmithError
├── RecipeError       the recipe file or a value in it is wrong
├── DataError         rows cannot be read or used
├── ModelError        a model cannot be found, read or suited
├── MachineError      disk, memory, compiler, driver
├── DaemonError       the daemon cannot be reached, started or agrees on no version
├── JobError          a job is unknown or in a state that does not allow the request
├── VerificationError an exported artifact differs from the trained model
└── EvaluationError   a scorer failed, or the figures are what the recipe's gate refuses
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec


class ErrorBody(msgspec.Struct, frozen=True):
    """What crosses the socket and what `--json` prints: `code` is stable, `hint` can be done."""

    code: str
    message: str
    hint: str = ""


class TunesmithError(Exception):
    """A sentence (`message`), a way out (`hint`) and a stable `code`."""

    code = "error"

    def __init__(self, message: str, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def body(self) -> ErrorBody:
        return ErrorBody(self.code, self.message, self.hint)


class RecipeError(TunesmithError):
    code = "recipe"


class DataError(TunesmithError):
    code = "data"


class ModelError(TunesmithError):
    code = "model"


class MachineError(TunesmithError):
    code = "machine"


class DaemonError(TunesmithError):
    code = "daemon"


class JobError(TunesmithError):
    code = "job"


class VerificationError(TunesmithError):
    code = "verification"


class EvaluationError(TunesmithError):
    code = "evaluation"


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint sentence: the nearest known name when one is close, else the list of all."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(names)}."
