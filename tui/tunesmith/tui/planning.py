"""Planning: what the wizard knows of machine, model and data, and what the planner makes of it. No engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui.draft import GIVEN, Draft
from tunesmith.tui.submission import submission

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.daemon.api.requests import Submit
    from tunesmith.recipes.data.checking.report import Report
    from tunesmith.recipes.data.checking.statistics import Tokens
    from tunesmith.recipes.machine import Machine
    from tunesmith.recipes.measured import Measured
    from tunesmith.recipes.models.facts import ModelFacts
    from tunesmith.recipes.planner import Fit, Forecast, Learned, Place, Rows
    from tunesmith.recipes.planner.badge import Badge
    from tunesmith.recipes.planner.plans import Recommendation, Way
    from tunesmith.recipes.spec import JobSpec

# The starter's own rows with its own tokenizer: rows kept, tokens (p50, p95, p99, max, mean, total, trained), held out.
STARTER_ROWS, STARTER_TOKENS, STARTER_HELD_OUT = 144, (52, 61, 76, 88, 52.7, 7586, 2177), 20
Question = tuple[str, str, str, tuple[tuple[str, str], ...]]


class Planning:
    """One for all steps. `machine` is as it was found last, `simulated` the key of a known one that is planned for
    instead; `live=False` never looks, for tests.
    """

    def __init__(self, home: Home, draft: Draft, machine: Machine | None = None, *, live: bool = True) -> None:
        self.home = home
        self.draft = draft
        self.machine = machine
        self.live = live
        self.simulated = ""
        self.measured: Measured | None = None
        self.learned: Learned | None = None
        self._tokens: Tokens | None = None
        self._rows = 0
        self._counted: Question | None = None
        self._facts: tuple[str, ModelFacts | None] | None = None

    def look(self) -> None:
        """See what is free now; a few milliseconds once the backends are loaded, so in a thread."""
        if not self.live:
            return
        from tunesmith.daemon.api import learning, measuring
        from tunesmith.recipes.machine import detect

        self.learned = learning.learned(self.home)
        found = detect(self.home.root)
        self.measured = measuring.kept(self.home, found)
        self.machine = measuring.merged(self.home, found)

    def place(self) -> Place | None:
        """Where the draft would run; None until somebody has looked."""
        from tunesmith.recipes.planner import place_of
        from tunesmith.recipes.planner.simulated import simulated

        value = next(value for value in self.draft.values() if value.key == "training.device")
        device = self.draft.text(value)
        if self.simulated:
            return simulated(self.simulated, device)
        return None if self.machine is None else place_of(self.machine, self.measured, device)

    @property
    def corrections(self) -> Learned | None:
        """What runs here have shown says nothing of another machine."""
        return None if self.simulated else self.learned

    def facts(self) -> ModelFacts | None:
        """Of the draft's model; None where nothing is known of it, which the model step says."""
        from tunesmith.daemon.api import model_facts
        from tunesmith.recipes.models import source

        key = GIVEN if self.draft.model == GIVEN else self.draft.model_folder.strip()
        if not key:
            return None
        if self._facts is None or self._facts[0] != key:
            try:
                text = source.located(key, Path.cwd())
                self._facts = key, model_facts.facts_of(self.home, text, source.preferred(os.environ))
            except (TunesmithError, OSError):
                self._facts = key, None
        return self._facts[1]

    def forget_model(self) -> None:
        """Its folder may hold something else now."""
        self._facts = None

    def checked(self, report: Report) -> None:
        """A check of the draft's data has finished."""
        if report.rows_kept:
            self._tokens, self._rows, self._counted = report.tokens, report.rows_kept, _question(self.draft)

    def rows(self) -> Rows:
        """Of the draft's data: counted where a check finished, else assumed; only their number where the model that
        would count their tokens is not here yet.
        """
        return self.rows_of(self.draft)

    def rows_of(self, draft: Draft) -> Rows:
        """The same of another draft, such as the starter's."""
        from tunesmith.recipes.data.checking.statistics import Tokens
        from tunesmith.recipes.planner import ASSUMED, Rows, assumed

        given = draft.data == GIVEN
        held_out = STARTER_HELD_OUT if given else 0
        if self._counted == _question(draft):
            apart = _held_out_fraction(draft)
            if self._tokens is not None:
                return Rows.of(self._tokens, self._rows, held_out_fraction=apart, held_out=held_out)
            if not given:
                return assumed(self._rows, apart)
        return Rows.of(Tokens(*STARTER_TOKENS), STARTER_ROWS, held_out=held_out) if given else ASSUMED

    def submission(self, draft: Draft, spec: JobSpec, *, force: bool = False) -> Submit:
        """What the daemon is asked: with what is known of the data, for the same forecast, and what was settled."""
        rows = self.rows_of(draft)
        return submission(draft.submission(spec), spec, rows if rows.known else None, force=force)

    def badge(self, facts: ModelFacts) -> Badge | None:
        """How a model fits what is free now; None until somebody has looked."""
        from tunesmith.recipes.planner.badge import badge

        place = self.place()
        return None if place is None else badge(facts, place)

    def badges(self) -> dict[str, Badge]:
        """Of the whole catalogue, by key."""
        from tunesmith.recipes.models.catalogue import catalogue
        from tunesmith.recipes.planner.badge import badge

        place = self.place()
        return {} if place is None else {entry.key: badge(entry.facts, place) for entry in catalogue()}

    def forecast(self, spec: JobSpec) -> tuple[Forecast, Fit, Place] | None:
        """Of `spec` as it stands; None while machine or model are not known."""
        from tunesmith.recipes.planner import fit, forecast

        place, facts = self.place(), self.facts()
        if place is None or facts is None:
            return None
        found = forecast(spec, facts, self.rows(), place, self.corrections)
        return found, fit(found, place), place

    def forecast_here(self, spec: JobSpec, facts: ModelFacts | None, rows: Rows) -> tuple[Forecast, Fit, Place] | None:
        """Of a job that is not the draft's, on this machine, whatever the draft is planned for."""
        from tunesmith.recipes.planner import fit, forecast, place_of

        if self.machine is None or facts is None:
            return None
        place = place_of(self.machine, self.measured, spec.training.device)
        found = forecast(spec, facts, rows, place, self.learned)
        return found, fit(found, place), place

    def ways(self, spec: JobSpec) -> tuple[Way, ...]:
        """What shrinks just this recipe, largest saving first."""
        from tunesmith.recipes.planner.ways import sets, ways

        place, facts = self.place(), self.facts()
        if place is None or facts is None:
            return ()
        found = ways(spec, facts, self.rows(), place, self.corrections)
        return sets(found, (value.key for value in self.draft.values()))

    def recommend(self) -> Recommendation | None:
        """The plans for the draft, and the ways to shrink it; None while machine or model are not known.

        Raises RecipeError for a value that is wrong.
        """
        from tunesmith.recipes.planner.recommend import recommend

        place, facts = self.place(), self.facts()
        if place is None or facts is None:
            return None
        base = self.draft.unplanned()
        return recommend(base.spec(), self.draft.explicit, facts, self.rows(), place, self.corrections)


def _question(draft: Draft) -> Question:
    if draft.data == GIVEN:
        return GIVEN, "", "", ()
    return draft.data_file.strip(), draft.data_shape, "own", tuple(sorted(draft.data_map.items()))


def _held_out_fraction(draft: Draft) -> float:
    value = next(value for value in draft.values() if value.key == "data.held_out_fraction")
    try:
        return min(1.0, max(0.0, float(value.read(draft.text(value)))))
    except TunesmithError:
        return float(value.default)
