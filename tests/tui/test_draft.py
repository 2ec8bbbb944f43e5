"""What is typed becomes a checked job, and nothing typed is lost on the way."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tunesmith.recipes import presets
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.spec import load
from tunesmith.tui.draft import OWN, Draft
from tunesmith.tui.forms import Value


def value(draft: Draft, key: str) -> Value:
    return next(v for v in draft.values() if v.key == key)


def test_the_starters_draft_is_the_starters_recipe() -> None:
    assert Draft.starter().spec() == load(presets.path("starter"))


def test_typed_values_reach_the_spec() -> None:
    draft = Draft.starter()
    draft.set(value(draft, "training.learning_rate"), "5e-5")
    draft.set(value(draft, "training.max_length"), "256")
    draft.set(value(draft, "tuner.rank"), "4")
    draft.set(value(draft, "evaluation.general"), "no")
    spec = draft.spec()
    assert (spec.training.learning_rate, spec.training.max_length, spec.tuner["rank"]) == (5e-5, 256, 4)
    assert spec.evaluation.general is False


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("training.epochs", "many"),
        ("training.epochs", "0"),
        ("training.learning_rate", "7"),
        ("training.learning_rate", "nan"),
        ("tuner.rank", "-1"),
        ("tuner.dropout", "2"),
        ("training.max_length", "3"),
        ("name", "a/b"),
    ],
)
def test_a_wrong_value_is_named_and_kept(key: str, text: str) -> None:
    draft = Draft.starter()
    wrong = value(draft, key)
    draft.set(wrong, text)
    error = draft.error(wrong)
    assert error is not None and error.hint
    assert draft.text(wrong) == text
    with pytest.raises(RecipeError):
        draft.spec()
    assert [v.key for v in draft.values() if draft.error(v)] == [key]


def test_a_default_is_not_written_down_as_a_choice() -> None:
    draft = Draft()
    epochs = value(draft, "training.epochs")
    draft.set(epochs, "7")
    draft.set(epochs, epochs.default_text)
    assert draft.typed == {}


def test_what_a_person_types_goes_before_the_plan_and_the_plan_before_the_default() -> None:
    draft = Draft()
    draft.model, draft.data, draft.data_file, draft.model_folder = OWN, OWN, "rows.jsonl", "model"
    epochs, rank = value(draft, "training.epochs"), value(draft, "tuner.rank")
    planned = msgspec.structs.replace(draft.spec(), tuner={"kind": "lora", "rank": 64, "alpha": 128, "dropout": 0.0})
    draft.set(epochs, "7")
    draft.follow("best", planned)
    assert (draft.text(epochs), draft.text(rank)) == ("7", "64")
    assert draft.explicit == {"training.epochs"} and draft.unplanned().text(rank) == rank.default_text
    assert draft.spec() == msgspec.structs.replace(
        planned, training=msgspec.structs.replace(planned.training, epochs=7)
    )


def test_a_typed_value_that_is_the_plans_stays_typed() -> None:
    draft = Draft()
    rank = value(draft, "tuner.rank")
    draft.follow("lean", draft.spec())
    draft.set(rank, draft.text(rank))
    assert draft.explicit == {"tuner.rank"}


def test_exports_chosen_by_hand_stay_in_every_plan() -> None:
    draft = Draft()
    few = msgspec.structs.replace(draft.spec(), exports=("adapter",))
    draft.follow("lean", few)
    assert draft.exports == ["adapter"]
    draft.choose_exports(["merged"])
    draft.follow("lean", few)
    assert draft.exports == ["merged"] and "exports" in draft.explicit


def test_what_was_measured_for_the_starter_is_for_the_starter_alone() -> None:
    draft = Draft.starter()
    rate = value(draft, "training.learning_rate")
    assert draft.text(rate) == "0.0008" and draft.explicit == set()
    draft.data = OWN
    assert draft.text(rate) == rate.default_text


def test_own_data_is_split_and_its_path_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draft = Draft.starter()
    draft.data, draft.data_file = OWN, "rows.jsonl"
    spec = draft.spec()
    assert spec.data.train == str(tmp_path / "rows.jsonl")
    assert spec.data.held_out is None


def test_the_same_draft_is_the_same_submission_until_a_job_was_made() -> None:
    draft = Draft.starter()
    first = draft.submission(draft.spec())
    assert draft.submission(draft.spec()) == first
    draft.submitted()
    assert draft.submission(draft.spec()) != first


def test_another_tuner_has_its_own_values_and_defaults_and_what_was_typed_comes_back() -> None:
    draft = Draft()
    draft.set(value(draft, "tuner.rank"), "4")
    draft.set(value(draft, "tuner.kind"), "full")
    assert [v.key for v in draft.values() if v.key.startswith("tuner.")] == ["tuner.kind"]
    spec = draft.spec()
    assert (spec.tuner, spec.training.learning_rate, spec.training.weight_decay) == ({"kind": "full"}, 1e-5, 0.1)
    assert "adapter" in draft.exports and "adapter" not in spec.exports
    draft.set(value(draft, "tuner.kind"), "lora")
    assert draft.spec().tuner["rank"] == 4 and "adapter" in draft.spec().exports


def test_a_quantized_base_and_how_it_computes_are_kept_from_a_recipe(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "quantization: nf4\ntraining: {packing: false, window: 256, gradient_checkpointing: true, save_steps: 0}\n"
    )
    spec = Draft.from_spec(load(file)).spec()
    assert (spec.quantization, spec.training.packing, spec.training.window) == ("nf4", False, 256)
    assert (spec.training.gradient_checkpointing, spec.training.save_steps) == ("full", 0)


def test_full_fine_tuning_opened_from_a_recipe_stays_full(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("tuner: {kind: full}\ndata: {held_out: starter}\n")
    draft = Draft.from_spec(load(file))
    assert draft.typed == {"tuner.kind": "full"}
    assert draft.spec() == load(file)


def test_a_base_in_four_bits_is_refused_where_every_weight_is_trained() -> None:
    draft = Draft()
    draft.set(value(draft, "tuner.kind"), "full")
    quantization = value(draft, "quantization")
    draft.set(quantization, "nf4")
    assert "nf4" in str(draft.error(quantization))


def test_the_benchmarks_of_a_recipe_file_and_a_gate_that_names_them_are_kept(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "data: {held_out: starter}\nbenchmark: {suites: [gsm8k], limit: 5, base: true}\n"
        "evaluation: {fail_if: gsm8k < before.gsm8k}\n"
    )
    spec = load(tmp_path / "recipe.yaml")
    draft = Draft.from_spec(spec)
    assert draft.spec() == spec
    assert draft.error(value(draft, "evaluation.fail_if")) is None
