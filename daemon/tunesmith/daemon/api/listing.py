"""A list of all jobs, a line each; asked for again it gives only the lines that have changed since."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import RESTING_STATES, JobView


class JobLine(msgspec.Struct, frozen=True):
    """`stage` is the one at work, `stage_fraction` how much of it is done; `fraction` is of all stages alike, 0 to 1.

    `right` of the `graded` held-out answers of the tuned model.
    """

    id: int
    name: str
    state: str
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    stage: str = ""
    stage_fraction: float = 0.0
    fraction: float = 0.0
    right: int = 0
    graded: int = 0
    waiting: e.Waiting | None = None

    @property
    def ended_already(self) -> bool:
        return self.state in RESTING_STATES


class LinesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    after: Annotated[
        str, msgspec.Meta(max_length=80, description="`after` of an earlier answer: only what changed since is sent.")
    ] = ""


class Lines(msgspec.Struct, frozen=True):
    """GET /v1/jobs/lines. `whole`: these are all there are; else those that changed, and numbers of the `removed`."""

    after: str
    lines: tuple[JobLine, ...]
    removed: tuple[int, ...] = ()
    whole: bool = True


def line_of(view: JobView) -> JobLine:
    right, graded = view.correct("tuned")
    running = next((stage for stage in view.stages if stage.state == "running"), None)
    return JobLine(
        id=view.id,
        name=view.name,
        state=view.state,
        created=view.created,
        started=view.started,
        ended=view.ended,
        stage=running.name if running is not None else "",
        stage_fraction=running.fraction if running is not None else 0.0,
        fraction=sum(stage.fraction for stage in view.stages) / len(view.stages),
        right=right,
        graded=graded,
        waiting=view.waiting,
    )
