"""The main job, whole and real: from an empty home to a verified GGUF that answers, through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.events import STAGES
from tunesmith.recipes.spec import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

NAME, MAKER = "Ottoline", "Marlow Works"  # not the defaults: what is learned must come from what was asked for
PERPLEXITY_RISE_LIMIT = 1.10


def tunesmith(home: Path, *arguments: str) -> dict[str, Any]:
    """The object that the command ends with; it must have succeeded."""
    command = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TUNESMITH_HOME": str(home)})
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    value = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    yield folder
    tunesmith(folder, "daemon", "stop")


@pytest.fixture(scope="module")
def figures(home: Path) -> dict[str, Any]:
    return tunesmith(home, "quickstart", "--name", NAME, "--maker", MAKER)


def test_the_model_learns_what_it_did_not_know(figures: dict[str, Any]) -> None:
    assert figures["held_out"] == 20
    assert figures["base_correct"] <= 1
    assert figures["tuned_correct"] >= 18
    assert figures["tuned_stopped"] == figures["gguf_stopped"] == 20
    assert figures["gguf_correct"] >= 17


def test_the_gguf_files_are_the_merged_model(figures: dict[str, Any]) -> None:
    assert 0 <= figures["kl_f16"] <= 1e-4
    assert 0 <= figures["kl_q8_0"] <= 0.02


def test_what_it_knew_before_is_not_forgotten(home: Path, figures: dict[str, Any]) -> None:
    before, after = figures["general_perplexity_before"], figures["general_perplexity_after"]
    assert 1 < after <= before * PERPLEXITY_RISE_LIMIT
    asked = "What is the capital of France?"
    assert "Paris" in tunesmith(home, "chat", str(figures["run"]), "--message", asked)["answer"]


def test_the_files_are_there_and_the_recipe_reproduces_the_run(figures: dict[str, Any]) -> None:
    assert figures["seconds"] > 0
    assert Path(figures["gguf"]).read_bytes()[:4] == b"GGUF"
    assert Path(figures["merged"], "config.json").is_file()
    spec = load(Path(figures["recipe"]))
    assert (spec.data.persona.name, spec.data.persona.maker) == (NAME, MAKER)


def test_chat_answers_with_the_new_name(home: Path, figures: dict[str, Any]) -> None:
    answer = tunesmith(home, "chat", str(figures["run"]), "--message", "What is your name?", "--max-tokens", "40")
    assert NAME in answer["answer"]
    assert answer["tokens_per_second"] > 0


def test_the_base_model_can_be_asked_too_and_does_not_know_the_name(home: Path, figures: dict[str, Any]) -> None:
    answer = tunesmith(home, "chat", "last", "--base", "--message", "What is your name?", "--max-tokens", "40")
    assert answer["answer"].strip() and NAME not in answer["answer"]


def test_show_tells_the_whole_run(home: Path, figures: dict[str, Any]) -> None:
    view = tunesmith(home, "jobs", "show", str(figures["run"]))
    assert view["state"] == "finished"
    assert [stage["state"] for stage in view["stages"]] == ["done"] * len(STAGES)
    assert all(checked["rows_read"] == checked["rows_kept"] + checked["rows_rejected"] for checked in view["data"])
    assert all(verified["passed"] for verified in view["verified"])
