"""These need a browser that not every machine has: they run when asked for, `-m chromium`, and never by chance."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "chromium" in str(config.option.markexpr):
        return
    left_out = [item for item in items if item.get_closest_marker("chromium")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
