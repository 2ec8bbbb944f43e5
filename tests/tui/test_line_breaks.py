"""Lines break between Chinese characters, never before a closing mark; texts with spaces break where they did."""

from __future__ import annotations

import re

import pytest
import rich._wrap
from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

import tunesmith.tui.texts  # noqa: F401  (texts bring it with them)
from tunesmith.tui.line_breaks import CLOSING, OPENING, WORD

SENTENCE = "✗ 配方中有未知的键，值的类型不对或超出范围，或者两个值互相排斥。"


def lines(text: str, width: int) -> list[str]:
    return [line.plain for line in Content(text).wrap(width)]


def test_a_chinese_sentence_begins_on_the_line_of_its_mark_and_fills_it() -> None:
    assert lines(SENTENCE, 30)[0] == "✗ 配方中有未知的键，值的类型不"


@pytest.mark.parametrize("width", range(8, 40))
def test_no_line_begins_with_a_closing_mark_or_ends_with_an_opening_one(width: int) -> None:
    for line in lines(SENTENCE + "“引号”（括号）《书》", width):
        assert line[0] not in CLOSING and line.rstrip()[-1] not in OPENING


@given(st.text())
def test_words_are_the_whole_text(text: str) -> None:
    found = [word for _, _, word in rich._wrap.words(text)]
    assert "".join(found) == (text if text.strip() else "")


@given(st.text(st.characters(max_codepoint=0x2DFF, exclude_characters=OPENING + CLOSING)))
def test_texts_without_ideographs_are_the_same_words_as_before(text: str) -> None:
    before = [found.span() for found in re.compile(r"\s*\S+\s*").finditer(text)]
    assert [found.span() for found in WORD.finditer(text)] == before
