"""What a person wants evaluated of a finished run, kept as typed; `spec()` makes it the job of `tunesmith eval`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tunesmith.recipes.errors import RecipeError, TunesmithError
from tunesmith.recipes.spec import BenchmarkSpec, JobSpec
from tunesmith.tui.evaluating import Evaluable, benchmarks, on_rows
from tunesmith.tui.explained import SAID
from tunesmith.tui.forms import AUTO, BASE, BASED_ON, GATE, LIMIT, SCORES, SUITES, TOOL, VARIANT, Value, values_of
from tunesmith.tui.texts import shown, t

BENCHMARKS, ROWS = KINDS = ("benchmarks", "rows")
DATA = "data.held_out"  # the file of rows, which has a field of its own
ASKED = {BENCHMARKS: (SUITES, LIMIT, BASE, TOOL, VARIANT, GATE), ROWS: (SCORES, GATE)}


class EvaluationForm:
    """`kind` is what it is evaluated by. The gate of each kind is a text of its own: they name different measures."""

    def __init__(self, found: Evaluable) -> None:
        self.found = found
        self.kind = BENCHMARKS
        self.data = ""
        self._typed: dict[str, str] = {}
        known = {value.key: value for value in values_of(found.recipe.tuner["kind"])}
        ours: dict[str, dict[str, Any]] = {
            VARIANT: {"kind": "choice", "choices": (AUTO, *found.variants), "default": None, "optional": True},
            SCORES: {"default": found.recipe.evaluation.scores},
        }
        keys = dict.fromkeys(key for kind in KINDS for key in ASKED[kind])
        self._values = tuple(msgspec.structs.replace(known[key], **ours.get(key, {})) for key in keys)

    def values(self) -> tuple[Value, ...]:
        """Of both kinds."""
        return self._values

    def value(self, key: str) -> Value:
        return next(value for value in self._values if value.key == key)

    def asked(self) -> list[Value]:
        """Of the kind that is chosen."""
        return [self.value(key) for key in ASKED[self.kind]]

    def text(self, value: Value) -> str:
        return self._typed.get(self._place(value), value.default_text)

    def set(self, value: Value, text: str) -> None:
        self._typed[self._place(value)] = text

    def changed(self, value: Value) -> bool:
        return self.text(value) != value.default_text

    def explanation(self, value: Value) -> str:
        """Why one would change it; of what means something else than in the recipe of a training, our own words."""
        key = f"evaluate.help_{value.name}" + (f"_{self.kind}" if value.key == GATE else "")
        ours = shown(key)
        return value.explanation if ours == key else ours

    @property
    def nothing_chosen(self) -> bool:
        """No benchmark yet: nothing is wrong, and there is nothing to start."""
        return self.kind == BENCHMARKS and not self.text(self.value(SUITES)).strip()

    def spec(self) -> JobSpec:
        """Raises RecipeError naming the first wrong value, ModelError where the run left nothing to begin with."""
        return self._spec(self.asked())

    def error(self, value: Value) -> TunesmithError | None:
        """What is wrong with one value, whatever those are that it is not based on."""
        if value not in self.asked():
            return None
        based_on = [one for one in self.asked() if one.key in BASED_ON.get(value.key, ())]
        for values in filter(None, (based_on, [*based_on, value])):
            try:
                self._spec(values)
            except TunesmithError as error:
                return error if value in values else None
        return None

    def _spec(self, values: Iterable[Value]) -> JobSpec:
        given: dict[str, Any] = {value.key: value.read(self.text(value)) for value in values}
        run, gate = self.found.run, given.pop(GATE, None)
        if self.kind == ROWS:
            return on_rows(run, self.data.strip() or None, given.get(SCORES), gate)
        if not given.get(SUITES):
            raise RecipeError(t("evaluate.no_suite"), t("evaluate.no_suite_hint"), SAID)
        told = {key.rpartition(".")[2]: value for key, value in given.items() if value is not None}
        return benchmarks(run, BenchmarkSpec(**told), gate)

    def _place(self, value: Value) -> str:
        return f"{self.kind} {GATE}" if value.key == GATE else value.key
