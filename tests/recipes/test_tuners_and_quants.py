"""Tuners, quantizations and optimizers: what a recipe that names them becomes, and which do not go together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tunesmith.recipes import optimizers, quants, tuners
from tunesmith.recipes import spec as s
from tunesmith.recipes.checks import refuse_unsuited
from tunesmith.recipes.errors import RecipeError

FOLDER = Path("/recipes")


def read(text: str) -> s.JobSpec:
    return s.parse(text, FOLDER)


def test_every_folder_of_cards_has_its_cards() -> None:
    assert set(tuners.cards()) == {"lora", "full"}
    assert set(quants.cards()) == {"none", "nf4"}
    assert set(optimizers.cards()) == {"adamw", "adamw_8bit", "paged_adamw_8bit", "adafactor"}


def test_full_fine_tuning_has_values_of_its_own_where_the_recipe_is_silent() -> None:
    spec = read("tuner: {kind: full}")
    assert (spec.training.learning_rate, spec.training.weight_decay) == (1e-5, 0.1)
    assert spec.exports == ("merged", "gguf:f16", "gguf:q8_0")
    assert read("{tuner: {kind: full}, training: {epochs: 1}}").training.learning_rate == 1e-5


def test_what_the_recipe_says_stands() -> None:
    spec = read("{tuner: {kind: full}, training: {learning_rate: 2.0e-4, weight_decay: 0}, exports: [merged]}")
    assert (spec.training.learning_rate, spec.training.weight_decay, spec.exports) == (2e-4, 0.0, ("merged",))
    assert s.parse(s.to_yaml(spec), FOLDER) == spec


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{tuner: {kind: full}, exports: [adapter]}", "no adapter", "merged"),
        ("{tuner: {kind: full}, quantization: nf4}", "nf4 are fixed", "lora"),
        ("tuner: {kind: ful}", "'ful'", "'full'"),
        ("quantization: nf5", "nf5", "'nf4'"),
        ("training: {optimizer: adamw8bit}", "adamw8bit", "'adamw_8bit'"),
        ("{quantization: nf4, training: {device: mps}}", "nf4 does not run on mps", "cuda and cpu"),
        ("training: {optimizer: paged_adamw_8bit, device: cpu}", "does not run on cpu", "runs on cuda"),
        ("training: {activation_offload: true, device: cpu}", "off a GPU", "gradient_checkpointing"),
        ("training: {gradient_checkpointing: sometimes}", "gradient_checkpointing", "selective"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_way_out(text: str, message: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(text)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_device_that_is_found_later_is_asked_then() -> None:
    spec = read("training: {optimizer: paged_adamw_8bit}")
    refuse_unsuited(spec, "cuda")
    with pytest.raises(RecipeError, match="does not run on cpu"):
        refuse_unsuited(spec, "cpu")


@pytest.mark.parametrize(("given", "meant"), [("true", "full"), ("off", "off"), ("on", "full"), ("auto", "auto")])
def test_gradient_checkpointing_may_be_written_as_yes_or_no(given: str, meant: str) -> None:
    spec = read(f"training: {{gradient_checkpointing: {given}}}")
    assert spec.training.gradient_checkpointing == meant
    assert s.parse(s.to_yaml(spec), FOLDER) == spec


def test_editors_know_the_names() -> None:
    text = msgspec.json.encode(s.json_schema()).decode()
    for name in (*quants.cards(), *optimizers.cards(), *tuners.cards()):
        assert f'"{name}"' in text
