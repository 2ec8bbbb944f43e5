"""Admission: a job starts when its forecast fits what is free now; else it waits, or fails where it never could.

The forecast is the planner's, the one that the wizard shows. What a client did not say of the data counts as little as
it can be: held back is only what cannot fit whatever the rows are. The worker looks again when it has counted them.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from tunesmith.daemon import submitted
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import learning, wording
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.model_facts import facts_of
from tunesmith.daemon.api.view import QUEUED, JobView
from tunesmith.daemon.room import Room
from tunesmith.daemon.store import Store
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.models import source
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import Forecast, Learned, Rows, fit, forecast
from tunesmith.recipes.planner.shrink import with_changes
from tunesmith.recipes.planner.ways import NAMES, hint, needs, scarcest, ways_out
from tunesmith.recipes.spec import TRAIN, JobSpec
from tunesmith.recipes.units import bytes_text
from tunesmith.recipes.words import Words, of_resource, say

# The least that data can be: one short row. Nothing of it matters beside the model.
LEAST = Rows(rows=1, longest=16, mean=16.0, held_out=0, answer=1.0, known=False)
TOLD_AGAIN = 0.05  # free bytes change all the time: by this share they are told again
log = logging.getLogger("tunesmith.admission")


class Look(Protocol):
    """`tunesmith.daemon.room`, or what a test puts in its place."""

    def now(self, home: Home, device: str) -> Room: ...
    def memory_kills(self) -> int | None: ...


def look(module: str) -> Look:
    found: Look = importlib.import_module(module)
    return found


class Weighed(msgspec.Struct, frozen=True):
    """`start`, or what happens instead; `events` are written then, those of a start together with it."""

    start: bool
    events: tuple[e.Event, ...] = ()


class Admission:
    """`held_back`: bytes of the machine's memory that are taken and do not show it yet; `on_device` the device's."""

    def __init__(
        self,
        store: Store,
        machine: Look,
        held_back: Callable[[], int] = lambda: 0,
        on_device: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store = store
        self._machine = machine
        self._held_back, self._on_device = held_back, on_device
        self._facts: tuple[tuple[int, int], ModelFacts] | None = None

    async def weigh(self, job_id: int) -> Weighed:
        """Whether to start the queued job `job_id` now. What keeps it is written already when this returns."""
        view = self._store.get(job_id)
        weighed = await asyncio.to_thread(self._weigh, view)
        if not weighed.start and weighed.events:
            await self._store.append(job_id, weighed.events, only_in=QUEUED)
        return weighed

    def _weigh(self, view: JobView) -> Weighed:
        """In a thread: drivers and disks may take their time."""
        try:
            return self._compared(view)
        except Exception as error:
            # A recipe or model folder that the arithmetic trips over must not end the daemon: the worker says more.
            log.exception("job %d cannot be forecast", view.id)
            english = "What this run needs could not be forecast ({error}); it starts without."
            words = say("not_forecast", english, error=f"{type(error).__name__}: {error}")
            return Weighed(True, (wording.notice("warning", words),))

    def _compared(self, view: JobView) -> Weighed:
        home, now = self._store.home, time.time()
        said = submitted.read(home.job(view.id))
        spec = spec_of(home, view)
        facts = self._facts_of(view, spec, said.hub)
        if facts is None:  # the worker says what is wrong with it
            return Weighed(
                True, (_forced(say("model_unknown", "nothing is known of its model")),) if said.force else ()
            )
        room = without(self._machine.now(home, spec.training.device), self._held_back(), self._on_device())
        rows = said.rows or LEAST
        known = learning.learned(home)
        found = forecast(spec, facts, rows, room.place, known)
        # Of the least rows it is no forecast that a person should go by.
        told = (e.Forecasted(time=now, forecast=found),) if said.rows is not None else ()
        fits = fit(found, room.place).holds
        if said.force:
            return Weighed(
                True, (_forced(say("it_fits", "the forecast fits") if fits else short_text(found, room)), *told)
            )
        if fits:
            return Weighed(True, told)
        if not fit(forecast(spec, facts, rows, room.whole, known), room.whole).holds:
            return Weighed(False, (*told, refusal(view, spec, facts, rows, room, known)))
        what = scarcest(found, room.place)
        needed, free = needs(found, room.place)[what]
        waiting = e.Waiting(time=now, what=what, needed=needed, free=free)
        return Weighed(False, (*told, waiting) if differs(view.waiting, waiting) else ())

    def _facts_of(self, view: JobView, spec: JobSpec, hub: str) -> ModelFacts | None:
        """Kept for the job that waits: headers of large models take a while to read."""
        key = (view.id, view.attempt)
        if self._facts is None or self._facts[0] != key:
            found = model_facts(self._store.home, spec, hub)
            if found is None:
                return None
            self._facts = (key, found)
        return self._facts[1]


def without(room: Room, held_back: int, on_device: int = 0) -> Room:
    """With so much less of the machine's memory free, and of the device's own."""
    place = room.place
    left = {"host_free_bytes": max(0, place.host_free_bytes - held_back)}
    if place.shared:
        left["free_bytes"] = max(0, place.free_bytes - held_back)
    else:
        left["free_bytes"] = max(0, place.free_bytes - on_device)
    return msgspec.structs.replace(room, place=msgspec.structs.replace(place, **left))


def spec_of(home: Home, view: JobView) -> JobSpec:
    """What the next attempt runs: the recipe as accepted, with what was shrunk since: events are the truth."""
    spec = msgspec.json.decode((home.job(view.id) / "spec.json").read_bytes(), type=JobSpec)
    return with_changes(spec, view.shrunk.changes) if view.shrunk is not None else spec


def model_facts(home: Home, spec: JobSpec, hub: str = "") -> ModelFacts | None:
    """None for a model that cannot be read, or of which nothing is known; `hub` goes first, else the environment's."""
    try:
        return facts_of(home, spec.model.source, hub or source.preferred(os.environ))
    except (TunesmithError, OSError) as error:
        log.info("%s says nothing of its size: %s", spec.model.source, error)
        return None


def differs(before: e.Waiting | None, now: e.Waiting) -> bool:
    """Whether a person should hear of it."""
    if before is None or (before.what, before.needed) != (now.what, now.needed):
        return True
    return abs(now.free - before.free) > TOLD_AGAIN * max(before.free, 1)


def _forced(why: Words) -> e.Notice:
    return wording.notice("warning", say("forced", "Started by force: {why}.", why=why))


def short_text(found: Forecast, room: Room) -> Words:
    """`the forecast needs 5.1 GB of memory, of which 2.0 GB are free`."""
    what = scarcest(found, room.place)
    needed, free = needs(found, room.place)[what]
    return say(
        "short",
        "the forecast needs {needed} of {what}, of which {free} are free",
        needed=bytes_text(needed),
        what=of_resource(what, NAMES[what]),
        free=bytes_text(free),
    )


def refusal(view: JobView, spec: JobSpec, facts: ModelFacts, rows: Rows, room: Room, known: Learned) -> e.Failed:
    """Of what fits not even with the whole machine to itself, with what would make it fit."""
    found = forecast(spec, facts, rows, room.whole, known)
    what = scarcest(found, room.whole)
    needed, there = needs(found, room.whole)[what]
    found_ways = ways_out(spec, facts, rows, room.whole, known) if spec.task == TRAIN else ()
    possible = tuple(way for way in found_ways if way.fits)
    way_out = hint(possible) or "Take a smaller model."
    return e.Failed(
        time=time.time(),
        code="does_not_fit",
        message=f"The run needs {bytes_text(needed)} of {NAMES[what]}, and this machine has {bytes_text(there)} in all",
        hint=f"{way_out} To try it all the same: `tunesmith resume {view.id} --force`.",
    )
