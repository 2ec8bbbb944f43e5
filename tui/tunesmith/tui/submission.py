"""What the daemon is asked with a recipe, by screens and commands: the hub and offline as they are settled here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.daemon.api.requests import Submit
    from tunesmith.recipes.planner import Rows
    from tunesmith.recipes.spec import JobSpec


def submission(key: str, spec: JobSpec, rows: Rows | None = None, *, force: bool = False) -> Submit:
    """The same `key` is the same job."""
    from tunesmith.daemon.api.offline import is_offline
    from tunesmith.daemon.api.requests import Submit
    from tunesmith.recipes.models import source

    hub = source.preferred(os.environ) if source.VARIABLE in os.environ else ""
    return Submit(key, spec, rows, force, hub=hub, offline=is_offline(os.environ))
