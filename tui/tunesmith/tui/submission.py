"""What the daemon is asked with a recipe, by screens and commands: the hub and offline as they are settled here."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import msgspec

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


def key_of(opened: uuid.UUID, spec: JobSpec) -> str:
    """In a window that was `opened` once: the same again, after an answer that never came, is the same job; what was
    changed is another.
    """
    return uuid.uuid5(opened, msgspec.json.encode(spec).decode()).hex
