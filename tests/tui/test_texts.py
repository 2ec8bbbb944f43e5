"""Texts as the sources ask for them, and which language the locale means; that they agree: tests/guards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tunesmith.tui.texts as texts
from tunesmith.tui.forms import values_of

SOURCES = sorted(Path(texts.__file__).parents[1].rglob("*.py"))


def test_every_key_that_the_sources_ask_for_is_there() -> None:
    asked = {key for path in SOURCES for key in re.findall(r'\bt\("([a-z_.]+)"', path.read_text("utf-8"))}
    assert asked - set(texts.load("en")) == set()
    assert len(asked) > 100


@pytest.mark.parametrize(("tuner", "count"), [("lora", 39), ("full", 36)])
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


@pytest.mark.parametrize("locale", ["zh", "zh_CN.UTF-8", "zh_TW.UTF-8", "zh-Hans", "ZH_CN.gb18030@pinyin"])
def test_a_locale_without_a_file_of_its_own_means_its_language(locale: str) -> None:
    assert texts.from_environment({"LANG": locale}) == "zh"


def test_a_file_for_a_locale_comes_before_its_language_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "LANGUAGES", ("en", "pt", "pt_br"))
    assert texts.from_environment({"LANG": "pt_BR.UTF-8"}) == "pt_br"
    assert texts.from_environment({"LANG": "pt_PT.UTF-8"}) == "pt"
    assert texts.from_environment({"LC_MESSAGES": "C", "LANG": "pt_PT.UTF-8"}) == "en"
