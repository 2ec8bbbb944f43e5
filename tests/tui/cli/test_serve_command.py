"""`tunesmith serve`: what is served and how it is asked, against a real daemon whose engine is a toy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import LoadingModel
from tunesmith.tui.cli.serve import loading_text

FAKES = Path(__file__).parents[2] / "fakes"


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the daemon that the command starts."""
    paths = (str(FAKES), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("TUNESMITH_ENGINE_MODULE", "toy_engine")
    monkeypatch.setenv("TUNESMITH_ROOM_MODULE", "toy_room")


def test_a_file_is_served_shown_and_ended(tunesmith: Any, home: Home, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")
    (tmp_path / "tuned").mkdir()
    assert "nothing is served" in tunesmith("serve", "--status").out
    served = tunesmith("serve", "mine.gguf", "--adapter", "tuned=tuned", "--json", cwd=tmp_path).json
    assert [model["name"] for model in served["models"]] == ["mine", "tuned"]
    assert served["models"][0] | {"path": ""} == {
        "name": "mine", "path": "", "adapter": "", "loaded": True, "engine": "toy",
    }  # fmt: skip
    assert served["url"] == "" and served["socket"] == str(home.socket)
    told = tunesmith("serve", str(tmp_path / "mine.gguf"), "--name", "other", "--port", "0").out
    assert "http://127.0.0.1:" in told and "Authorization: Bearer $(cat " in told and str(home.token) in told
    assert home.token.read_text().strip() not in told
    assert tunesmith("serve", "--stop").out.startswith("nothing is served")


def test_what_cannot_be_served_is_said_with_a_way_out(tunesmith: Any, tmp_path: Path) -> None:
    for wrong, said in (
        ("9", "no job 9"),
        ("last", "no finished run"),
        ("gone.gguf", "no model at"),
        ("a/b", "pull a/b"),
    ):
        ran = tunesmith("serve", wrong, cwd=tmp_path)
        assert ran.code == 1 and said in ran.err, ran
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    assert "The toy is broken" in tunesmith("serve", "broken.gguf", cwd=tmp_path).err
    for arguments in ((), ("--stop", "--status"), ("x.gguf", "--stop"), ("x.gguf", "--adapter", "nothing")):
        assert tunesmith("serve", *arguments).code != 0


def test_how_far_a_model_is_is_one_harmless_line() -> None:
    one = LoadingModel("qwen", "vllm", "vLLM: \x1b[31mLoading shards:\r 50%\n", 42.0)
    assert loading_text(one) == "qwen: loading for 0:42: 50%"
    assert loading_text(LoadingModel("qwen", "auto", "", 1.0)) == "qwen: loading for 0:01"
