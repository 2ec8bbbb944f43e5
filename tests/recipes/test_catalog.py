"""Cards are found by their folder; a folder that breaks the rule is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.recipes import catalog, exports, methods, tuners
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.fields import fill
from tunesmith.recipes.tuners import Tuner

GOOD = """
from tunesmith.recipes.tuners import Tuner
CARD = Tuner("{key}", "T", "B", "S", True, (), lambda model, knobs, seed: model)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """An importable, empty package of cards, named after the test."""
    package = tmp_path / f"cards_of_{request.node.name}"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


def test_the_folders_hold_the_cards_we_know_of() -> None:
    assert list(tuners.cards()) == ["full", "lora"]
    assert list(methods.cards()) == ["sft"]
    assert list(exports.cards()) == [
        "adapter", "awq", "bnb", "fp8", "gguf", "gguf-adapter", "gguf-mmproj", "gptq", "gptq-native", "merged",
    ]  # fmt: skip


def test_a_card_is_found_by_dropping_a_file_in(folder: Path) -> None:
    (folder / "one.py").write_text(GOOD.format(key="one"))
    assert list(catalog.load(folder.name, Tuner)) == ["one"]
    with pytest.raises(TypeError):
        catalog.load(folder.name, Tuner)["two"] = None  # type: ignore[index]


def test_a_folder_among_the_files_is_no_card(folder: Path) -> None:
    (folder / "one.py").write_text(GOOD.format(key="one"))
    (folder / "below").mkdir()
    (folder / "below" / "__init__.py").touch()
    assert list(catalog.load(folder.name, Tuner)) == ["one"]


def test_a_file_without_a_card_is_refused_by_name(folder: Path) -> None:
    (folder / "empty.py").write_text("")
    with pytest.raises(TypeError, match=r"\.empty must end in CARD, a Tuner"):
        catalog.load(folder.name, Tuner)


def test_two_cards_of_one_key_are_refused_by_file(folder: Path) -> None:
    (folder / "one.py").write_text(GOOD.format(key="same"))
    (folder / "two.py").write_text(GOOD.format(key="same"))
    with pytest.raises(ValueError, match=r"\.two uses the key 'same'"):
        catalog.load(folder.name, Tuner)


def test_every_knob_accepts_its_own_default() -> None:
    knobs = [card.knobs for card in tuners.cards().values()] + [card.knobs for card in methods.cards().values()]
    assert len(knobs) >= 2
    for fields in knobs:
        assert fill("card", fields, {}) == {field.name: field.default for field in fields}


def test_an_export_target_is_found_or_the_nearest_is_offered() -> None:
    card, variant = exports.find("gguf:q8_0")
    assert (card.key, variant) == ("gguf", "q8_0")
    with pytest.raises(RecipeError) as caught:
        exports.find("gguf:q8")
    assert caught.value.hint == "Did you mean 'gguf:q8_0'?"
