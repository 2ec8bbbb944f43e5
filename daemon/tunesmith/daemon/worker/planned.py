"""The run's forecast, from its model and its prepared rows: told, held to what is free, and learned from."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import learning, measuring
from tunesmith.daemon.worker import resident
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.prepare import Prepared
from tunesmith.recipes import machine, models, planner
from tunesmith.recipes.errors import MachineError, ModelError
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import Forecast, Place, Rows
from tunesmith.recipes.planner import learned as corrections
from tunesmith.recipes.spec import JobSpec
from tunesmith.recipes.units import bytes_text
from tunesmith.recipes.words import of_error, say

FORCE = "force"  # a file in the job's folder: the person wants it to run whatever is forecast


class Plan(msgspec.Struct):
    """What the forecast is made of, to make it again when more is known."""

    facts: ModelFacts
    rows: Rows
    place: Place
    forecast: Forecast


def run(context: Context) -> None:
    """Forecast the run and refuse it, or make its automatic values smaller, where it surely does not fit.

    Raises MachineError.
    """
    try:
        facts = models.read(context.base)
    except ModelError as error:  # whether it can be trained its loading shows; only the forecast is missing
        context.notice("info", say("no_forecast", "There is no forecast: {error}.", error=of_error(error)))
        return
    rows, place = rows_of(context.prepared, context.spec), here(context)
    learned = learning.learned(context.home)
    forecast = planner.forecast(context.spec, facts, rows, place, learned)
    if not could_fit(forecast, place):
        forecast = shrink(context, facts, rows, place)
    context.plan = Plan(facts, rows, place, forecast)
    context.emit(e.Forecasted(time=time.time(), forecast=forecast))


def shrink(context: Context, facts: ModelFacts, rows: Rows, place: Place) -> Forecast:
    """The forecast with automatic values at their smallest. Raises MachineError when that does not fit either."""
    smaller, changes = planner.shrunk(context.spec, facts, rows, place)
    forecast = planner.forecast(smaller, facts, rows, place, learning.learned(context.home))
    if not could_fit(forecast, place) and not (context.job / FORCE).exists():
        free = place.host_free_bytes if place.shared else place.free_bytes
        raise MachineError(
            f"This run needs about {bytes_text(forecast.bytes)} of memory, and {bytes_text(free)} are free",
            "Close other programs, lower training.max_length, or take a smaller model; `--force` runs it anyway.",
            "does_not_fit",
        )
    if changes:
        context.spec = smaller
        context.emit(e.Shrunk(time=time.time(), changes=changes))
    return forecast


def could_fit(forecast: Forecast, place: Place) -> bool:
    """Whether the lower end of its range is free."""
    below = 1 - forecast.memory_spread[0]
    host = forecast.host_bytes * below <= place.host_free_bytes
    return host and (place.shared or forecast.device_bytes * below <= place.free_bytes)


def here(context: Context) -> Place:
    """This machine, with what this process has already counted as free."""
    found = machine.detect(Path(context.home.root))
    place = planner.place_of(
        measuring.merged(context.home, found), measuring.kept(context.home, found), context.spec.training.device
    )
    ours = resident.now()
    return msgspec.structs.replace(
        place,
        host_free_bytes=place.host_free_bytes + ours,
        free_bytes=place.free_bytes + (ours if place.shared else 0),
    )


def rows_of(prepared: Prepared, spec: JobSpec) -> Rows:
    """The prepared rows; while more are being prepared, those of which something is known stand for all."""
    stores = [source.store for source in prepared.sources]
    tokens = sum(store.summary.tokens for store in stores)
    kept = max(1, sum(store.available for store in stores))
    rows = sum(
        (source.store.available if prepared.finished else source.most_rows or kept) * source.weight
        for source in prepared.sources
    )
    return Rows(
        rows=max(1, round(rows) - (len(prepared.scored) if prepared.splits else 0)),
        longest=max(1, prepared.longest),
        mean=float(tokens / kept),
        trained_share=sum(store.summary.trained_tokens for store in stores) / max(1, tokens),
        held_out=len(prepared.scored),
        answer=float(sum(row.trained.sum() for row in prepared.scored)) / max(1, len(prepared.scored)),
    )


def learn(context: Context, *, memory_bytes: int, step_seconds: float) -> None:
    """Remember how a training that is over differed from its forecast, for the next one."""
    if context.plan is None:
        return
    counted = context.plan.forecast
    key = corrections.key(context.spec, context.plan.facts, counted.device, counted.dtype)
    try:
        known = learning.learned(context.home)
        learning.keep(
            context.home,
            known.with_measured(
                key,
                memory=memory_bytes / max(1, counted.uncorrected_bytes),
                seconds=step_seconds / max(1e-9, counted.uncorrected_step_seconds),
            ),
        )
    except OSError as error:  # the run is worth more
        english = "What this run taught about this machine could not be kept: {error}."
        context.notice("info", say("not_learned", english, error=error))
