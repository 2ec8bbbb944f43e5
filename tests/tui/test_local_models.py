"""A model that lies on this machine is found, wherever its hub's client put it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.models import catalogue
from tunesmith.tui import local_models

ENTRY = catalogue.find("qwen2.5-0.5b-instruct")


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names or ("config.json", "model.safetensors"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    "place",
    [
        "home/models/qwen2.5-0.5b-instruct",
        "home/models/Qwen2.5-0.5B-Instruct",
        "models/Qwen2.5-0.5B-Instruct",
        "huggingface/models--Qwen--Qwen2.5-0.5B-Instruct/snapshots/7ae557",
        "modelscope/models/Qwen--Qwen2.5-0.5B-Instruct/snapshots/master",
        "modelscope/models/Qwen/Qwen2___5-0___5B-Instruct",
        "modelscope/hub/models/Qwen/Qwen2___5-0___5B-Instruct",
    ],
)
def test_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = put(tmp_path / place)
    assert local_models.find(ENTRY, Home(tmp_path / "home")) == folder


def test_a_folder_without_weights_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    put(tmp_path / "models" / "Qwen2.5-0.5B-Instruct", "config.json", "model.safetensors.part")
    assert local_models.find(ENTRY, Home(tmp_path / "home")) is None
