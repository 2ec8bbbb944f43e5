"""No control of a terminal survives in text that we did not write."""

from __future__ import annotations

import msgspec
import pytest

from tunesmith.daemon.api.images import Attached
from tunesmith.tui.conversation import Turn
from tunesmith.tui.plain import one_line, plain, well_formed


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


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("half \ud83d and \udcff", "half \ufffd and \ufffd"),
        ("\ud83d\ude00 in halves", "😀 in halves"),
        ("\udcff\ud83d\ude00", "\ufffd😀"),
        ("你好 😀", "你好 😀"),
        ("", ""),
    ],
)
def test_half_a_character_is_marked_where_text_is_sent_on(given: str, kept: str) -> None:
    assert well_formed(given) == kept
    assert well_formed(kept) == kept


def test_every_text_of_a_turn_can_be_kept() -> None:
    image = Attached("na\udcffme.png", 1, 1, "data:")
    turn = Turn("user", "half \ud83d", note="\udcff", images=(image,), system="\ud800")
    assert msgspec.json.decode(msgspec.json.encode(turn), type=Turn) == turn
    assert (turn.text, turn.images[0].name) == ("half \ufffd", "na\ufffdme.png")
