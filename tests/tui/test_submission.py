"""What the daemon is asked with a recipe: the hub and offline as this process has them, else as the daemon has."""

from __future__ import annotations

import pytest

from tunesmith.daemon.api import offline
from tunesmith.recipes.models import source
from tunesmith.recipes.spec import JobSpec
from tunesmith.tui.submission import submission


def test_what_is_settled_here_goes_with_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (source.VARIABLE, *offline.VARIABLES):
        monkeypatch.delenv(name, raising=False)
    plain = submission("a key", JobSpec(name="mine"))
    assert (plain.key, plain.spec.name, plain.hub, plain.offline, plain.force) == ("a key", "mine", "", False, False)
    monkeypatch.setenv(source.VARIABLE, source.HUBS[1])
    monkeypatch.setenv(offline.VARIABLE, "1")
    settled = submission("a key", JobSpec(name="mine"), force=True)
    assert (settled.hub, settled.offline, settled.force) == (source.HUBS[1], True, True)
