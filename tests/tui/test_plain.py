"""No control of a terminal survives in text that we did not write."""

from __future__ import annotations

import pytest

from tunesmith.tui.plain import one_line, plain


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("bell\x07 null\x00 c1\x9b", "bell null c1"),
        ("10%\r50%\r100%\nnext\r\n", "100%\nnext\n"),
        ("abc\u202edcba", "abcdcba"),
        ("[bold]not markup[/]", "[bold]not markup[/]"),
        ("你好\tVesper", "你好  Vesper"),
        ("\x1b", ""),
    ],
)
def test_a_text_is_made_harmless(given: str, shown: str) -> None:
    assert plain(given) == shown


def test_one_line_has_no_line_end() -> None:
    assert one_line(" a\n\n b\tc ") == "a b c"
