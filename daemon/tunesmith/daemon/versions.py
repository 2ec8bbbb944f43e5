"""What a newer Tunesmith wrote is refused with a sentence and left as it is; what an older one wrote is read."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipes.errors import JobError


def refuse_newer(path: Path, written: int, known: int) -> None:
    """Raises JobError (code newer_version) when `path` says a version above the one that is `known` here."""
    if written > known:
        raise JobError(
            f"{path} was written by a newer Tunesmith (version {written}, this one knows {known})",
            "Update Tunesmith; the file was left as it is.",
            "newer_version",
        )
