"""The commands of a run: the one that does it again exactly, and the one that trains it on."""

from __future__ import annotations

import shlex

from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.tui.plain import plain


def command(view: JobView) -> str:
    """The one command that does this run again."""
    return f"tunesmith run {shlex.quote(plain(view.folder) + '/recipe.yaml')}"


def more_command(view: JobView) -> str:
    """The command that trains on from what this run exported; empty where it exported nothing to begin with."""
    can = view.state == FINISHED and any(a.key in ("adapter", "merged") for a in view.artifacts)
    return f"tunesmith jobs more {view.id} --epochs 1" if can else ""
