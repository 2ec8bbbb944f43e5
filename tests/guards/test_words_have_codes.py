"""Whatever daemon and workers say of a run has a code, English where it is said, and words in every other language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tunesmith.tui import run_words, texts

ROOT = Path(__file__).parents[2]
PLACES = re.compile(r"\{(\w+)\}")
SAYS = re.compile(r"from tunesmith\.recipes\.words import [^\n]*\bsay\b|^def say\(", re.MULTILINE)
OTHERS = [language for language in texts.LANGUAGES if language != run_words.SOURCE]


class Saying(NamedTuple):
    code: str
    english: str
    values: frozenset[str]
    place: str


def sayings() -> Iterator[Saying]:
    """Every `say(code, english, value=...)` of recipes and daemon. Raises where code or English is not written out."""
    for part in ("recipes", "daemon"):
        for path in sorted((ROOT / part).rglob("*.py")):
            source = path.read_text("utf-8")
            if SAYS.search(source):
                yield from in_module(ast.parse(source), path.relative_to(ROOT).as_posix())


def in_module(tree: ast.Module, place: str) -> Iterator[Saying]:
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say"):
            continue
        code, english = node.args
        if isinstance(english, ast.Name):  # the sentence stands in a line of its own before the call
            named = [one for one in assigned if ast.unparse(one.targets[0]) == english.id and one.lineno < node.lineno]
            english = max(named, key=lambda one: one.lineno).value
        values = frozenset(str(word.arg) for word in node.keywords)
        yield Saying(ast.literal_eval(code), ast.literal_eval(english), values, f"{place}:{node.lineno}")


def calls(path: Path) -> set[str]:
    nodes = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    return {ast.unparse(node.func).rpartition(".")[2] for node in nodes}


def test_a_code_is_one_sentence_with_all_of_its_values() -> None:
    found = list(sayings())
    assert len(found) > 120
    by_code: dict[str, str] = {}
    for one in found:
        assert set(PLACES.findall(one.english)) == one.values, one.place
        assert by_code.setdefault(one.code, one.english) == one.english, one.place
        assert "." not in one.code, one.place


def test_nobody_sends_a_notice_or_a_path_without_its_code() -> None:
    sources = sorted((ROOT / "daemon").rglob("*.py"))
    assert len(sources) > 150
    makers = {path.name for path in sources if calls(path) & {"Notice", "PathTaken"}}
    assert makers == {"wording.py"}, "make them with daemon.api.wording: it takes words that have a code"


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_every_code_with_its_values_and_no_other(language: str) -> None:
    english = {one.code: one.english for one in sayings()}
    other = dict(run_words.load(language))
    assert other.pop("separator")
    assert sorted(set(english) - set(other)) == []
    assert sorted(set(other) - set(english)) == [], "nobody says these any more"
    places = {code: (set(PLACES.findall(english[code])), set(PLACES.findall(other[code]))) for code in english}
    assert {code: both for code, both in places.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("language", OTHERS)
def test_a_whole_sentence_is_a_whole_sentence_in_every_language(language: str) -> None:
    sentences = {one.code for one in sayings() if one.english.endswith(".") and len(one.english) > 20}
    assert [code for code in sorted(sentences) if not run_words.load(language)[code].endswith(("。", "）"))] == []
