"""An export format is one card: nothing outside of its file asks whether it is that one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tunesmith.recipes import exports

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "recipes/tunesmith/recipes/exports"
BEGUN_WITH = {"adapter", "merged"}  # what a finished run is taken up from: by name, as it is no matter of format


def asked(path: Path) -> Iterator[tuple[int, str]]:
    """Comparisons of a `key` with a text."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            keyed = any(getattr(side, "attr", getattr(side, "id", "")) == "key" for side in sides)
            for text in (part for side in sides for part in ast.walk(side) if keyed):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield node.lineno, text.value
                elif isinstance(text, ast.Attribute) and ast.unparse(text).endswith("CARD.key"):
                    yield node.lineno, ast.unparse(text)


def test_no_other_file_compares_a_key_with_the_name_of_an_export() -> None:
    formats = set(exports.cards()) - BEGUN_WITH
    assert len(formats) >= 3
    files = [path for part in ("recipes", "daemon", "tui") for path in (ROOT / part).rglob("*.py")]
    assert len(files) > 300
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in files
        if path.parent != CARDS or path.name == "__init__.py"
        for line, text in asked(path)
        if text in formats or text.endswith("CARD.key")
    ]
    assert found == []


def test_such_a_comparison_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        'a = card.key == "gguf"\nb = key in ("bnb", "x")\nc = card.key == bnb.CARD.key\nd = name == "gguf"\n'
    )
    assert list(asked(path)) == [(1, "gguf"), (2, "bnb"), (2, "x"), (3, "bnb.CARD.key")]
