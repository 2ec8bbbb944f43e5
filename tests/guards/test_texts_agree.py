"""English and Chinese say the same things: equal keys, equal places to fill."""

from __future__ import annotations

import string

from tunesmith.tui import texts


def places(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_both_languages_have_the_same_keys() -> None:
    english, chinese = texts.load("en"), texts.load("zh")
    assert len(english) >= 50
    assert set(english) ^ set(chinese) == set()


def test_both_languages_fill_the_same_places() -> None:
    english, chinese = texts.load("en"), texts.load("zh")
    assert [key for key in english if places(english[key]) != places(chinese.get(key, ""))] == []


def test_no_text_is_empty() -> None:
    for language in texts.LANGUAGES:
        assert [key for key, text in texts.load(language).items() if not text.strip()] == []
