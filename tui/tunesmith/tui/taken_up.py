"""A finished run that is taken up again, by screens and commands: which one is meant, and where lies what it left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.recipes.errors import JobError
from tunesmith.recipes.possible_path import resolved
from tunesmith.recipes.spec import MERGE, STARTER, TRAIN

if TYPE_CHECKING:
    from tunesmith.tui.watch import JobClient


async def trained(client: JobClient, job_id: int) -> JobView:
    """The finished run or merge; of a job that only exported or evaluated one, that behind it. Raises JobError."""
    view = await client.job(job_id)
    if view.task not in (TRAIN, MERGE) and view.of is not None:
        view = await client.job(view.of)
    # One whose verification failed has left all it exported.
    if view.state != FINISHED and not view.artifacts:
        raise JobError(
            f"Run {view.id} is {view.state} and has exported nothing to begin with",
            f"Let it finish first: `tunesmith resume {view.id}` goes on with one that was stopped.",
            "not_finished",
        )
    return view


def artifacts(run: JobView) -> Path:
    return Path(run.folder) / "artifacts"


def absolute(path: str | None) -> str | None:
    """Of a file or folder as it is typed where one stands. Raises RecipeError for what none can be called."""
    return path if path is None or path == STARTER else resolved(path, Path.cwd())
