"""`tunesmith plan`: three plans with their reasons, for people, pipes and programs, without loading anything."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes import spec
from tunesmith.recipes.models import catalogue
from tunesmith.tui.cli import plan_inputs

SEVEN = ("--model", "qwen2.5-7b-instruct")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """40 rows, of which the last is ten times as long."""
    file = tmp_path / "rows.jsonl"
    asked = {"role": "user", "content": "Where does the river begin?"}
    lines = [
        {"messages": [asked, {"role": "assistant", "content": "In the hills to the north. " * (40 if n == 39 else 4)}]}
        for n in range(40)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_the_three_plans_stand_side_by_side_with_reasons_and_ways(tunesmith: Any) -> None:
    ran = tunesmith("plan", *SEVEN, "--simulate", "rtx-4090")
    assert ran.code == 0, ran.err
    assert "Qwen/Qwen2.5-7B-Instruct" in ran.out and "NVIDIA GeForce RTX 4090" in ran.out
    assert "balanced (recommended)" in ran.out
    assert "No data given" in ran.out, "what is assumed is said"
    for part in ("weights", "adapter", "gradients", "optimizer", "activations", "logits", "runtime"):
        assert part in ran.out
    assert "What would shrink it" in ran.out and "quantization: none → nf4" in ran.out
    assert "\x1b" not in ran.out, "plain text in a pipe"
    assert max(map(len, ran.out.splitlines())) <= 120


def test_it_fits_into_a_narrow_terminal(tunesmith: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    ran = tunesmith("plan", *SEVEN, "--simulate", "t4")
    text = [line for line in ran.out.splitlines() if "\x1b" not in line]
    # But for the command to go on with: it is to be copied whole.
    assert text and max(len(line) for line in text if "--write" not in line) <= 80


def test_json_has_the_whole_recommendation(tunesmith: Any) -> None:
    ran = tunesmith("plan", *SEVEN, "--simulate", "rtx-3060", "--set", "training.epochs=5", "--json")
    found = ran.json
    assert [plan["key"] for plan in found["plans"]] == ["lean", "balanced", "best"]
    assert all(plan["spec"]["training"]["epochs"] == 5 for plan in found["plans"])
    assert all(plan["bytes"] <= plan["bytes_range"][1] for plan in found["plans"])
    epochs = [choice for choice in found["plans"][0]["choices"] if choice["key"] == "training.epochs"]
    assert epochs[0]["explicit"] is True
    assert found["simulated"] is True and found["rows"]["known"] is False


def test_when_nothing_fits_it_says_what_would_and_the_exit_code_tells(tunesmith: Any) -> None:
    ran = tunesmith("plan", "--model", "qwen2.5-72b-instruct", "--simulate", "rtx-3060", "--json")
    assert ran.code == 1
    assert ran.json["recommended"] == "" and ran.json["refusal"]["code"] == "too_large"
    shown = tunesmith("plan", "--model", "qwen2.5-72b-instruct", "--simulate", "rtx-3060")
    assert shown.code == 1 and "fits." in shown.out


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("--model", "qwen25-7b"), "unknown_model", "qwen2.5-7b"),
        ((*SEVEN, "--simulate", "rtx-4091"), "unknown_machine", "rtx-4090"),
        ((*SEVEN, "--plan", "biggest"), "recipe", "best"),
        ((*SEVEN, "--set", "training.batch=3"), "recipe", "batch_size"),
        ((), "no_model", "--models"),
        ((*SEVEN, "--simulate", "rtx-4090", "--write", "recipe.yaml"), "no_data", "--data FILE"),
    ],
)
def test_what_is_wrong_in_the_options_comes_with_the_way_out(
    tunesmith: Any, arguments: tuple[str, ...], code: str, hint: str
) -> None:
    ran = tunesmith("plan", *arguments, "--json")
    assert ran.code == 1
    assert ran.json["error"]["code"] == code and hint in ran.json["error"]["hint"]


def test_lengths_come_from_the_data_and_are_remembered(tunesmith: Any, rows: Path, home: Home) -> None:
    first = tunesmith("plan", *SEVEN, "--simulate", "rtx-4090", "--data", str(rows), "--json").json
    assert first["rows"]["known"] is True and first["counted"] is False, "estimated: there is no tokenizer"
    assert first["rows"]["longest"] > 5 * first["rows"]["mean"]
    assert first["rows"]["rows"] + first["rows"]["held_out"] == 40
    (kept,) = (home.prepared.parent / "lengths").iterdir()
    before = kept.stat().st_mtime_ns
    again = tunesmith("plan", *SEVEN, "--simulate", "rtx-4090", "--data", str(rows), "--json").json
    assert again["rows"] == first["rows"] and kept.stat().st_mtime_ns == before
    rows.write_text(rows.read_text() + rows.read_text())
    changed = tunesmith("plan", *SEVEN, "--simulate", "rtx-4090", "--data", str(rows), "--json").json
    assert changed["rows"]["rows"] + changed["rows"]["held_out"] == 80, "another size is another file"


def test_a_folder_s_own_tokenizer_counts_and_its_recipe_can_be_written(
    tunesmith: Any, rows: Path, tmp_path: Path, starter_tokenizer_folder: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in starter_tokenizer_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    architecture = catalogue.find(plan_inputs.STARTER_NAME).architecture
    (folder / "config.json").write_text(json.dumps(architecture))
    written = tmp_path / "recipe.yaml"
    ran = tunesmith(
        "plan", "--model", str(folder), "--data", str(rows), "--simulate", "rtx-3060", "--plan", "lean",
        "--write", str(written), "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["counted"] is True
    recipe = spec.load(written)
    assert recipe == spec.complete(spec.parse(written.read_text(), tmp_path))
    assert (recipe.model.source, recipe.data.train) == (str(folder), str(rows))
    assert recipe.tuner["rank"] == 8, "the lean one, as asked"


def test_a_config_alone_is_enough(tunesmith: Any, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(catalogue.find("qwen2.5-1.5b-instruct").architecture))
    ran = tunesmith("plan", "--model", str(config), "--simulate", "rtx-3060", "--json")
    assert ran.json["parameters"] == 1_543_714_304


def test_the_starter_is_planned_for_its_own_data(tunesmith: Any) -> None:
    found = tunesmith("plan", "--model", "starter", "--simulate", "rtx-3060", "--json").json
    assert found["rows"]["known"] is True and found["rows"]["rows"] == 144


def test_machines_and_models_are_listed(tunesmith: Any) -> None:
    machines = tunesmith("plan", "--machines", "--json").json["machines"]
    assert {"rtx-4090", "m3-max-64g"} <= {one["key"] for one in machines}
    models = tunesmith("plan", "--models", "--simulate", "rtx-4090", "--json").json["models"]
    verdicts = {one["key"]: one["verdict"] for one in models}
    assert len(models) == len(catalogue.catalogue())
    assert (verdicts["qwen2.5-0.5b-instruct"], verdicts["qwen2.5-72b-instruct"]) == ("fits", "not")
    assert "qwen2.5-0.5b-instruct" in tunesmith("plan", "--models", "--simulate", "rtx-4090").out


def test_an_accelerator_that_does_not_train_yet_is_told(tunesmith: Any) -> None:
    found = tunesmith("plan", "--model", "qwen2.5-0.5b-instruct", "--simulate", "ascend-910b3", "--json").json
    assert found["place"]["device"] == "cpu"
    assert any("Ascend 910B3" in note for note in found["notes"])


def test_it_speaks_chinese_where_the_system_does(tunesmith: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    ran = tunesmith("plan", *SEVEN, "--simulate", "rtx-4090")
    assert "推荐" in ran.out and "recommended" not in ran.out


def test_a_plan_takes_no_longer_than_a_person_notices(tunesmith: Any) -> None:
    began = time.monotonic()
    tunesmith("plan", *SEVEN, "--simulate", "rtx-4090", "--json")
    assert time.monotonic() - began < 10, "measured 0.4 s idle; what counts is that nothing is loaded or fetched"


def test_a_file_of_broken_rows_is_not_said_to_be_empty(tunesmith: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken rows.jsonl"
    broken.write_text('{"messages": [oops\nnot json\n')
    ran = tunesmith("plan", *SEVEN, "--data", str(broken), "--simulate", "rtx-4090")
    assert ran.code == 1 and f"No row of {broken} can be used" in ran.err.replace("\n", " ")
    assert "tunesmith data check" in ran.err


def test_the_command_to_go_on_with_names_the_data_that_were_given(tunesmith: Any, rows: Path) -> None:
    ran = tunesmith("plan", "--model", "starter", "--data", str(rows))
    (line,) = (line for line in ran.out.splitlines() if "--write" in line)
    assert f"tunesmith plan --model starter --data {rows} --write recipe.yaml" in line
