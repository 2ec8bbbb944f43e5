"""What a model sees with is verified by a picture's embeddings: shown as such, nowhere as a divergence of text."""

from __future__ import annotations

import msgspec

from tunesmith.daemon.api.events import Verified
from tunesmith.tui.cli import render
from tunesmith.tui.report import contents
from tunesmith.tui.texts import t
from tunesmith.tui.widgets import verification_card

SEEN = Verified(
    time=0.0, key="gguf-mmproj", passed=True, kl_divergence=0.0, top1_agreement=0.0, tokens_compared=256,
    prompt_equal=True, token_ids_equal=True, kl_limit=0.0, embedding_error=0.0013, embedding_limit=0.02,
)  # fmt: skip
OFF = msgspec.structs.replace(SEEN, passed=False, embedding_error=0.4, why="it is off", hint="Do not use it.")


def test_the_card_says_how_far_a_picture_is_off_and_nothing_of_text() -> None:
    text = verification_card._card(SEEN).plain
    assert f"{t('result.embeddings')}" in text and "1.3e-3 ≤ 2.0e-2 ✓" in text and "256" in text
    assert t("result.kl") not in text and t("result.prompt") not in text
    failed = verification_card._card(OFF).plain
    assert "4.0e-1 > 2.0e-2 ✗" in failed and "it is off" in failed


def test_a_report_has_it_in_the_row_of_its_file() -> None:
    row = contents._verified(SEEN)
    assert len(row) == 8 and row[0] == "gguf-mmproj" and "1.3e-3 ≤ 2.0e-2" in row[2] and set(row[3:]) == {"—"}


def test_a_command_says_it_in_a_line() -> None:
    assert render.compared_text(SEEN) == "a picture's embeddings are off by 0.0013 (limit 0.02)"
    assert "KL" in render.compared_text(msgspec.structs.replace(SEEN, embedding_error=None, embedding_limit=None))
