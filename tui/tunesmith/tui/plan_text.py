"""What plans say, in words: reasons, verdicts and sizes of a recommendation, for commands and screens alike."""

from __future__ import annotations

from tunesmith.recipes.planner.plans import Reason
from tunesmith.tui import texts


def reason(given: Reason) -> str:
    """The sentence of a reason, or of a refusal, in the current language."""
    values = {key: texts.t(f"plan.what_{value}") if key == "what" else value for key, value in given.values.items()}
    return texts.t(f"plan.reason_{given.code}", **values)
