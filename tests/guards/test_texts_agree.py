"""All languages say the same things: equal keys, equal places to fill, nothing empty."""

from __future__ import annotations

import string

import pytest

from tunesmith.tui import texts

OTHERS = [language for language in texts.LANGUAGES if language != "en"]


def places(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_every_file_of_the_folder_is_a_language() -> None:
    assert {"en", "zh"} <= set(texts.LANGUAGES)
    assert len(texts.LANGUAGES) == len(list(texts.FOLDER.glob("*.toml")))
    assert len({texts.name(language) for language in texts.LANGUAGES}) == len(texts.LANGUAGES)


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_the_keys_of_english(language: str) -> None:
    english = texts.load("en")
    assert len(english) >= 600
    assert set(english) ^ set(texts.load(language)) == set()


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_fills_the_places_of_english(language: str) -> None:
    english, other = texts.load("en"), texts.load(language)
    assert [key for key in english if places(english[key]) != places(other.get(key, ""))] == []


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_no_text_is_empty(language: str) -> None:
    assert [key for key, text in texts.load(language).items() if not text.strip()] == []
