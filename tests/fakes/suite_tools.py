"""The tools of public benchmarks with a stand-in for each, which is there at once: `fake_suite_tool.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.worker import environments

TOOL = Path(__file__).with_name("fake_suite_tool.py")


class Environment:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def python(self, *arguments: str) -> list[str]:
        return [sys.executable, str(TOOL), *arguments[1:]]


def put_in_place(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """The tools that are asked for from here on."""
    asked: list[str] = []

    @contextmanager
    def opened(tool: Any, home: Any, tell: Any, check: Any) -> Iterator[Environment]:
        asked.append(tool.key)
        yield Environment(folder)

    monkeypatch.setattr(environments, "opened", opened)
    return asked
