"""Both languages say everything, and say it with the same places to fill."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tunesmith.tui.texts as texts
from tunesmith.tui.forms import values_of

SOURCES = sorted(Path(texts.__file__).parents[1].rglob("*.py"))


def test_the_two_languages_have_the_same_keys() -> None:
    assert set(texts.load("en")) == set(texts.load("zh"))
    assert len(texts.load("en")) > 300


def test_the_two_languages_fill_the_same_places() -> None:
    english, chinese = texts.load("en"), texts.load("zh")
    places = {key: set(re.findall(r"(?<!\{)\{(\w+)\}", text)) for key, text in english.items()}
    differing = [key for key, names in places.items() if set(re.findall(r"(?<!\{)\{(\w+)\}", chinese[key])) != names]
    assert differing == []


def test_every_key_that_the_sources_ask_for_is_there() -> None:
    asked = {key for path in SOURCES for key in re.findall(r'\bt\("([a-z_.]+)"', path.read_text("utf-8"))}
    assert asked - set(texts.load("en")) == set()
    assert len(asked) > 100


@pytest.mark.parametrize(("tuner", "count"), [("lora", 32), ("full", 29)])
def test_every_recipe_value_is_named_and_explained(tuner: str, count: int) -> None:
    known = texts.load("en")
    values = values_of(tuner)
    assert [v.name for v in values if f"recipe.label_{v.name}" not in known] == []
    assert [v.name for v in values if f"recipe.help_{v.name}" not in known] == []
    assert len(values) == count


def test_the_language_comes_from_the_locale() -> None:
    assert texts.from_environment({"LANG": "zh_CN.UTF-8"}) == "zh"
    assert texts.from_environment({"LC_ALL": "en_GB.UTF-8", "LANG": "zh_CN.UTF-8"}) == "en"
    assert texts.from_environment({"LANG": "de_DE.UTF-8"}) == "en"
    assert texts.from_environment({}) == "en"
