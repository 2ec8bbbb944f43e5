"""The person's own scorer: `scorer.py:function`, run in the worker process with all the rights of the person.

`function(answer, row)` returns True, False or a number from 0 to 1. `row` is a dict: question, messages (that end with
the question), answer (the expected one), accept, reject. What it raises ends the evaluation and is told with its file
and line.
"""

from __future__ import annotations

import importlib.util
import math
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import EvaluationError, RecipeError
from tunesmith.recipes.evals import OWN_CODE, Eval, Scorer
from tunesmith.recipes.possible_path import resolved

FAILED = "scorer_failed"


def open_scorer(argument: str) -> Scorer:
    """Raises EvaluationError when the file cannot be run or has no such function."""
    path, _, name = argument.rpartition(":")
    function = getattr(module_of(Path(path)), name, None)
    if not callable(function):
        raise EvaluationError(f"{path} has no function '{name}'", f"Define `def {name}(answer, row)` in it.", FAILED)

    def score(answer: str, row: HeldOutRow) -> float:
        given = {
            "question": row.question, "messages": row.messages, "answer": row.answer,
            "accept": list(row.accept), "reject": list(row.reject),
        }  # fmt: skip
        try:
            found = function(answer, given)
        except (Exception, SystemExit) as error:  # it may raise anything
            raise failed(path, name, error, row) from error
        return checked(path, name, found, row)

    return Scorer(score)


def module_of(path: Path) -> ModuleType:
    """The file as a module of its own, run once. Raises EvaluationError."""
    spec = importlib.util.spec_from_file_location(f"tunesmith_scorer_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise EvaluationError(f"There is no scorer file {path}", "Correct its path in evaluation.scores.", FAILED)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it may raise anything
        raise failed(str(path), "", error, None) from error
    return module


def failed(path: str, name: str, error: BaseException, row: HeldOutRow | None) -> EvaluationError:
    """Says the innermost line of the person's own file, and the row where there is one."""
    lines = [str(frame.lineno) for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines = [str(error.lineno)]
    where = f"{path}:{lines[-1]}" if lines else path
    asked = "" if row is None else f", on the answer to '{row.question[:80]}'"
    return EvaluationError(
        f"Your scorer failed at {where}: {type(error).__name__}: {error}{asked}",
        "Correct the file; `tunesmith jobs logs RUN` has the traceback.",
        FAILED,
    )


def checked(path: str, name: str, found: Any, row: HeldOutRow) -> float:
    """Raises EvaluationError for what is no score."""
    number = isinstance(found, int | float)
    if not number or not math.isfinite(found) or not 0 <= found <= 1:
        raise EvaluationError(
            f"Your scorer {name} in {path} returned {found!r:.100} for the answer to '{row.question[:80]}'",
            "Return True, False or a number from 0 to 1.",
            FAILED,
        )
    return float(found)


def check(argument: str) -> None:
    name = argument.rpartition(":")[2]
    if not (name.isascii() and name.isidentifier()):
        raise RecipeError(f"evaluation.scores has '{argument}'", "Give FILE.py:FUNCTION, a function of that file.")


def located(argument: str, folder: Path) -> str:
    path, _, name = argument.rpartition(":")
    return f"{resolved(path, folder)}:{name}"


CARD = Eval(
    key=OWN_CODE,
    title="Your own scorer",
    blurb="`function(answer, row)` of your own Python file, run as your own code; True, False or 0 to 1.",
    open=open_scorer,
    argument="FUNCTION",
    check=check,
    located=located,
    name=lambda argument: argument.rpartition(":")[2],
)
