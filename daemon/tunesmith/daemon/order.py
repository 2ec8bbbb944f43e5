"""The order of the queue: lower places first; a job is moved by giving it a place between two others."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.daemon.api.view import QUEUED, JobView


def queue(views: Iterable[JobView]) -> list[JobView]:
    """Those that wait, the next one first."""
    return sorted((view for view in views if view.state == QUEUED), key=lambda view: (view.place, view.id))


def moved(waiting: list[JobView], job_id: int, before: int | None) -> dict[int, float]:
    """New places by job, so that `job_id` comes right before `before`, or first of all when that is None.

    Of the job alone, unless no number is left between its neighbours: then all of the queue is numbered anew.
    """
    others = [view for view in waiting if view.id != job_id]
    at = 0 if before is None else [view.id for view in others].index(before)
    if not others:
        return {}
    upper = others[at].place
    place = upper - 1 if at == 0 else (others[at - 1].place + upper) / 2
    if place < upper and (at == 0 or others[at - 1].place < place):
        return {job_id: place}
    order = [*(view.id for view in others[:at]), job_id, *(view.id for view in others[at:])]
    return {number: float(index) for index, number in enumerate(order, 1)}
