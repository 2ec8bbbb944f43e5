"""The recipe of a job as the daemon accepted it, read from the job's folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import JobError
from tunesmith.recipes.spec import JobSpec


def recipe_of(view: JobView) -> JobSpec:
    """Raises JobError where its file is gone, damaged, or of a newer version."""
    path = Path(view.folder) / "spec.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=JobSpec)
    except (OSError, ValueError, msgspec.DecodeError) as error:  # a folder with a NUL in its name is a ValueError
        raise JobError(
            f"The recipe of job {view.id} cannot be read: {path}: {error}",
            "Its folder may have been removed; `tunesmith jobs list --sizes` shows what is there.",
            "no_recipe",
        ) from error
