"""What the tools' own result files say: the figure of a suite, how sure it is, and the figures of its parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tunesmith.daemon.api.outcomes import PartFigure
from tunesmith.recipes.errors import EvaluationError
from tunesmith.recipes.intervals import Interval, Z, wilson
from tunesmith.recipes.suites import EVALSCOPE, LM_EVAL

PARTS = 200  # that are told; MMLU has 57 subjects


class Found(msgspec.Struct, frozen=True):
    """`unanswered` of the `questions` had no answer that the tool could score."""

    metric: str
    questions: int
    figure: Interval
    error: float
    parts: tuple[PartFigure, ...] = ()
    unanswered: int = 0


def lm_eval(said: Mapping[str, Any], name: str, metric: str) -> Found:
    """Raises EvaluationError."""
    figures = said.get("groups", {}).get(name) or said["results"].get(name)
    if figures is None:
        raise none_there(name)
    wanted = metric if "," in metric or not metric else f"{metric},none"
    key = next((key for key in figures if is_figure(figures, key) and wanted in ("", key)), None)
    if key is None:
        raise none_there(wanted or name)
    counts = {task: int(count["effective"]) for task, count in said["n-samples"].items()}
    parts = tuple(
        PartFigure(task, float(said["results"][task][key]), count)
        for task, count in counts.items()
        if key in said["results"].get(task, {})
    )
    measured, _, filtered = key.partition(",")
    told = figures.get(f"{measured}_stderr,{filtered}")
    return found(
        measured if filtered == "none" else f"{measured} ({filtered})",
        sum(counts.values()),
        float(figures[key]),
        told if isinstance(told, float) else None,
        parts,
    )


def is_figure(figures: Mapping[str, Any], key: str) -> bool:
    measured, comma, _ = key.partition(",")
    return bool(comma) and not measured.endswith("_stderr") and isinstance(figures[key], int | float)


def evalscope(said: Mapping[str, Any], name: str, metric: str) -> Found:
    """Raises EvaluationError."""
    main = said.get("primary_metric_identity")
    wanted = metric or (called(main) if main else "")
    one = next((one for one in said["metrics"] if wanted in ("", called(one["identity"]))), None)
    if one is None:
        raise none_there(wanted or name)
    parts = tuple(
        PartFigure(subset["name"], float(subset["score"]), int(subset["num"]))
        for category in one["categories"]
        for subset in category["subsets"]
        if not subset.get("is_aggregate")
    )
    told = said.get("execution_summary") or {}
    unanswered = int(told.get("requested", 0)) - int(told.get("succeeded", 0))
    return found(called(one["identity"]), int(one["num"]), float(one["score"]), None, parts, unanswered)


def called(identity: Mapping[str, Any]) -> str:
    """A metric with its dimensions, such as rouge.f1.l."""
    dimensions = identity.get("dimensions") or {}
    return ".".join([identity["name"], *(str(dimensions[key]) for key in sorted(dimensions))])


def found(
    metric: str, questions: int, value: float, error: float | None, parts: tuple[PartFigure, ...], unanswered: int = 0
) -> Found:
    """With its interval: of a figure from 0 to 1 Wilson's, which is too wide rather than too narrow where questions
    are not simply right or wrong; of any other the normal one. Raises EvaluationError.
    """
    if questions < 1 or not math.isfinite(value):
        raise none_there(metric)
    if 0 <= value <= 1:
        error = math.sqrt(value * (1 - value) / questions) if error is None else error
        interval = wilson(value * questions, questions)
    else:
        error = error or 0.0
        interval = Interval(value, value - Z * error, value + Z * error)
    return Found(metric, questions, interval, error, parts[:PARTS] if len(parts) > 1 else (), max(0, unanswered))


def none_there(what: str) -> EvaluationError:
    return EvaluationError(
        f"The tool's results have no figure of '{what}'",
        "What it printed is in the log; of a file of your own, look at its metrics.",
        "suite_failed",
    )


READ: Mapping[str, Callable[[Mapping[str, Any], str, str], Found]] = MappingProxyType(
    {LM_EVAL: lm_eval, EVALSCOPE: evalscope}
)
