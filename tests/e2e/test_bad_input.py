"""Bad input through the real parts: a typed error with a next step, exit code 1, and nothing lost or hidden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

GOOD = json.dumps({"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]})
SHORT = ["training.epochs=1", "evaluation.answers=0", "evaluation.general=false", "exports=[adapter]"]


def command(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the object at the end, and what was said on standard error."""
    line = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", *arguments, "--json"]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def refused(*arguments: str) -> dict[str, str]:
    """The error that the command ends with."""
    code, last, said = command(*arguments)
    assert code == 1, last
    assert last.keys() == {"error"} and last["error"].keys() == {"code", "message", "hint"}
    error: dict[str, str] = last["error"]
    assert error["message"] in said and error["hint"] and error["hint"] in said
    return error


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("TUNESMITH_HOME", str(folder))
        yield folder
        command("daemon", "stop")


def recipe(folder: Path, text: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def test_a_missing_model_folder(tmp_path: Path) -> None:
    error = refused("run", recipe(tmp_path, "model:\n  source: no-such-model\n"), "--wait")
    assert error["code"] == "model_missing" and str(tmp_path / "no-such-model") in error["message"]


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    error = refused("run", recipe(tmp_path, "model:\n  source: .\n"), "--wait")
    assert error["code"] == "model_incomplete" and "config.json" in error["message"]


def test_a_missing_data_file(tmp_path: Path) -> None:
    error = refused("run", recipe(tmp_path, "data:\n  train: none.jsonl\n"), "--wait")
    assert error["code"] == "data_missing" and "none.jsonl" in error["message"]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_data_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content, "utf-8")
    error = refused("run", recipe(tmp_path, "data:\n  train: rows.jsonl\n"), "--wait")
    assert error["code"] == "data_empty" and "rows.jsonl" in error["message"]


def test_an_unknown_recipe_key_offers_the_nearest(tmp_path: Path) -> None:
    error = refused("run", recipe(tmp_path, "training:\n  epoch: 2\n"))
    assert error["code"] == "recipe" and "epoch" in error["message"] and "'epochs'" in error["hint"]


def test_a_value_of_the_wrong_kind_is_named(tmp_path: Path) -> None:
    error = refused("run", recipe(tmp_path, "training:\n  epochs: many\n"))
    assert error["code"] == "recipe" and "epochs" in error["message"]


def test_text_that_is_no_recipe(tmp_path: Path) -> None:
    assert refused("run", recipe(tmp_path, "a: [1,\n"))["code"] == "recipe"
    assert refused("run", recipe(tmp_path, ""))["code"] == "recipe"


def test_nothing_refused_is_left_behind_as_a_run() -> None:
    assert command("jobs", "list")[1] == {"jobs": []}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_file_of_broken_lines_only_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"messages": [\nnonsense\n', "utf-8")
    error = refused("run", recipe(tmp_path, "data:\n  train: rows.jsonl\n"), "--wait")
    assert error["code"] == "data" and "rows.jsonl" in error["message"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_broken_lines_are_counted_and_named_and_the_good_ones_are_kept(tmp_path: Path) -> None:
    lines = [GOOD, '{"messages": [', GOOD, "nonsense", GOOD, '{"messages": []}', GOOD, GOOD]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    settings = [part for setting in SHORT for part in ("--set", setting)]
    code, last, said = command("run", recipe(tmp_path, "data:\n  train: rows.jsonl\n"), "--wait", *settings)
    assert code == 0, last
    checked = command("jobs", "show", str(last["run"]))[1]["data"][0]
    assert (checked["rows_read"], checked["rows_kept"], checked["rows_rejected"]) == (8, 5, 3)
    for number in (2, 4, 6):
        assert f"rows.jsonl:{number}" in said
