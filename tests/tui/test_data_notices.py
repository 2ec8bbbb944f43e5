"""What the reader notices about a file as a whole is said in both languages, with its line where there is one."""

from __future__ import annotations

import pytest

from tunesmith.recipes.data.files import encodings
from tunesmith.tui import texts
from tunesmith.tui.widgets.data_report import notice_text

ROW = '{"text": "naïve"}\n'
FILES = {
    "utf16": ROW.encode("utf-16"), "bom": ROW.encode("utf-8-sig"), "cp1252": b"x\n" + ROW.encode("cp1252"),
    "damaged": b'{"text": "a"}\n\x81\xfe \x1b[31mred\n', "crlf": ROW.replace("\n", "\r\n").encode(),
    "cr": ROW.replace("\n", "\r").encode() * 2,
}  # fmt: skip


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
@pytest.mark.parametrize("code", list(FILES))
def test_a_notice_is_said_in_the_language_of_the_wizard(code: str, language: str) -> None:
    texts.use(language)
    notices = encodings.detect(FILES[code], "rows.jsonl").notices
    said = [notice_text(notice) for notice in notices]
    assert code in [notice.code for notice in notices]
    assert all(text.startswith("rows.jsonl: ") and "None" not in text for text in said)
    if code in ("cp1252", "damaged"):
        assert "2" in said[0]
