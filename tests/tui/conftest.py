"""The fakes on the path; no animation, English, and a clock that stands still in what is drawn."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from tunesmith.tui import texts


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "huggingface"))  # what lies there is listed as here
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    texts.use("en")
    yield
    texts.use("en")
