"""What the check finds and the reader notices is said in every language, with its line where there is one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tunesmith.recipes.data import checking
from tunesmith.recipes.data.checking.findings import FINDINGS
from tunesmith.recipes.data.files import encodings
from tunesmith.recipes.data.reasons import REASONS
from tunesmith.tui import texts
from tunesmith.tui.widgets.data_report import SAID_ELSEWHERE, known, notice_text

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


def found_codes() -> set[str]:
    """Of findings about the data as a whole, as the sources make them."""
    trees = [ast.parse(path.read_text("utf-8")) for path in Path(checking.__path__[0]).glob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Finding" and call.args]
    return {call.args[1].value for call in made if isinstance(call.args[1], ast.Constant)}  # type: ignore[misc]


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
def test_every_finding_and_every_reason_is_said_in_the_language_of_the_wizard(language: str) -> None:
    texts.use(language)
    findings = (found_codes() | set(FINDINGS)) - set(SAID_ELSEWHERE)
    assert len(findings) >= 15 and len(REASONS) >= 50
    assert [code for code in findings if not known(f"data.finding_{code}")] == []
    assert [code for code in REASONS if not known(f"data.{code}")] == []
