"""`--set key=value`: dotted or short, read as YAML, checked like the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.cli.overrides import full_key, read


def test_a_dotted_key_changes_that_value_only(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("training:\n  epochs: 5\n  seed: 7\n", "utf-8")
    spec = read(file, ["training.epochs=2", "training.learning_rate=1e-4"])
    assert (spec.training.epochs, spec.training.seed, spec.training.learning_rate) == (2, 7, 1e-4)


def test_a_short_name_stands_for_the_one_part_that_has_it() -> None:
    assert full_key("rank") == "tuner.rank"
    assert full_key("epochs") == "training.epochs"
    assert full_key("name") == "name"
    assert full_key("nonsense") == "nonsense"


def test_a_knob_can_be_set_where_the_recipe_names_no_tuner(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("name: plain\n", "utf-8")
    assert read(file, ["rank=4"]).tuner["rank"] == 4


def test_a_typed_path_is_relative_to_where_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "r.yaml").write_text("data:\n  train: in-recipe.jsonl\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    spec = read(Path("recipes/r.yaml"), ["data.held_out=typed.jsonl"])
    assert spec.data.train == str(tmp_path / "recipes" / "in-recipe.jsonl")
    assert spec.data.held_out == str(tmp_path / "typed.jsonl")


@pytest.mark.parametrize(
    "setting", ["epochs", "=3", "name.first=x", "training.epoch=3", "training.epochs=[", "epochs=0"]
)
def test_a_wrong_setting_is_refused_with_a_hint(tmp_path: Path, setting: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("name: plain\n", "utf-8")
    with pytest.raises(RecipeError) as caught:
        read(file, [setting])
    assert caught.value.hint
