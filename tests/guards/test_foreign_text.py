"""Text of others reaches a terminal one way only: no markup is read from it, and one console prints it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TUI = Path(__file__).parents[2] / "tui/tunesmith/tui"
READ_MARKUP = {"Static", "Label", "Button", "Option", "notify", "update", "Checkbox", "RadioButton"}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Each call in the terminal's side: its file, the name that is called, the call."""
    files = sorted(TUI.rglob("*.py"))
    assert len(files) >= 60
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                yield str(file.relative_to(TUI)), name, node


def without_markup(call: ast.Call) -> bool:
    return any(word.arg == "markup" and getattr(word.value, "value", True) is False for word in call.keywords)


def put_together(node: ast.expr) -> bool:
    """Whether a text is made of parts here, so that some of it may be anybody's."""
    if isinstance(node, ast.JoinedStr | ast.BinOp):
        return True
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "t" and bool(node.keywords)


def test_no_widget_reads_markup_from_a_text_that_is_put_together() -> None:
    wrong = [
        f"{file}:{call.lineno} {name}"
        for file, name, call in calls()
        if name in READ_MARKUP
        and not file.startswith("cli/")
        and call.args
        and put_together(call.args[0])
        and not without_markup(call)
    ]
    assert wrong == []


def test_markup_is_read_nowhere() -> None:
    assert [f"{file}:{call.lineno}" for file, name, call in calls() if name in ("from_markup", "from_ansi")] == []


def test_one_place_makes_consoles() -> None:
    assert {file for file, name, _ in calls() if name in ("Console", "HarmlessConsole")} == {"cli/render.py"}


def test_json_for_a_person_is_written_in_two_places() -> None:
    written = {file for file, name, call in calls() if name in ("print", "write") and "json" in ast.unparse(call)}
    assert written <= {"cli/render.py", "cli/data_text.py", "cli/plan.py"}
