"""No screen or widget says anything in English of its own: what a person reads has a key in the texts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2] / "tui/tunesmith/tui"
WORDS = re.compile(r"[A-Za-z]{2,}[,.:;!?']* [A-Za-z]{2,}")
STYLE = re.compile(r"((\$[a-z]+(-[a-z0-9]+)*|not|on|bold|underline|dim|reverse|italic|strike|red|\d+%)\s*)+")
ASKING = ("t", "shown", "query", "query_one", "on", "said")  # calls whose strings are keys and selectors
UNSEEN = ("id", "classes", "name", "key", "severity", "style", "group")  # keywords that nobody reads
NOT_TEXT = ("DEFAULT_CSS", "CSS", "HORIZONTAL_BREAKPOINTS", "VERTICAL_BREAKPOINTS", "__all__")
ALLOWED = {
    ("widgets/model_catalogue.py", "tunesmith models pull "),  # commands are the same in every language
    ("screens/public_sets.py", "tunesmith data get "),
    ("widgets/shape_question.py", "question=query answer=response"),  # what may be typed, in the names of columns
}


def literals(node: ast.AST) -> Iterator[str]:
    """Every string below `node` that somebody may read: no docstring, key, selector, type or style sheet."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Raise():
            return
        case ast.Call() if called(node) in ASKING:
            return
        case ast.Assign(targets=[ast.Name(id=name)]) if name in NOT_TEXT:
            return
        case ast.AnnAssign(value=value):
            yield from literals(value) if value is not None else ()
            return
        case ast.keyword(arg=name) if name in UNSEEN:
            return
        case ast.Constant(value=str() as text):
            yield text
    for child in ast.iter_child_nodes(node):
        yield from literals(child)


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def sentences(source: str) -> set[str]:
    return {text for text in literals(ast.parse(source)) if WORDS.search(text) and not STYLE.fullmatch(text.strip())}


def found() -> set[tuple[str, str]]:
    sources = [*(ROOT / "screens").glob("*.py"), *(ROOT / "widgets").glob("*.py")]
    assert len(sources) >= 45
    return {
        (path.relative_to(ROOT).as_posix(), text) for path in sources for text in sentences(path.read_text("utf-8"))
    }


def test_every_sentence_on_screen_has_a_key() -> None:
    assert sorted(found() - ALLOWED) == []


def test_nothing_is_allowed_that_is_gone() -> None:
    assert sorted(ALLOWED - found()) == []


def test_a_sentence_in_a_screen_would_be_found() -> None:
    source = """
def draw(self, name):
    '''Not this one.'''
    lines = [f"No runs yet, {name}"]
    self.border_title = "Your models"
    return Static(t("a.b c"), classes="some classes")
"""
    assert sentences(source) == {"No runs yet, ", "Your models"}
