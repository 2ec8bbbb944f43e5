"""The documents that `python docs/make.py` makes are what it would make now, and every error code is explained."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from making import commands, errors, raised

from tunesmith.tui import explained, texts

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "made"), [("commands.md", commands.markdown), ("errors.md", errors.markdown)], ids=["commands", "errors"]
)
def test_a_page_is_as_made_from_the_code(name: str, made: object) -> None:
    assert callable(made)
    assert (DOCS / name).read_text("utf-8") == made(), f"run: python docs/make.py {name}"


def test_every_code_that_can_be_raised_is_explained_once_and_no_other() -> None:
    codes = {one.code for one in raised.raised()}
    explained = [code for part in errors.explanations().values() for code in part]
    assert len(codes) > 100
    assert sorted(codes - set(explained)) == [], f"explain them in {errors.EXPLANATIONS}"
    assert sorted(set(explained) - codes) == [], "nothing raises these any more"
    assert len(explained) == len(set(explained))


@pytest.mark.parametrize("language", [language for language in texts.LANGUAGES if language != "en"])
def test_every_language_explains_the_same_codes_in_whole_sentences_with_the_same_commands(language: str) -> None:
    english, other = explained.load("en"), explained.load(language)
    assert set(english) ^ set(other) == set()
    assert [code for code, said in other.items() if not all(part.endswith("。") for part in said)] == []
    commands = {
        code: [set(re.findall(r"`tunesmith [^`]+`", " ".join(said[code]))) for said in (english, other)]
        for code in english
    }
    assert [code for code, (here, there) in commands.items() if here != there] == []


def warning_codes() -> Iterator[str]:
    """Of every warning about a machine that the sources make; all have one."""
    for path in (DOCS.parent / "recipes").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Warning":
                yield ast.literal_eval(node.args[2])


@pytest.mark.parametrize("language", [language for language in texts.LANGUAGES if language != "en"])
def test_every_warning_about_a_machine_is_told_in_every_language(language: str) -> None:
    codes = set(warning_codes())
    assert len(codes) >= 20
    assert set(explained.warnings(language)) ^ codes == set()


def test_a_code_is_found_however_it_is_given() -> None:
    by_code = {one.code: one for one in raised.raised()}
    by_class, by_position, by_constant, by_choice = "recipe", "data_missing", "corrupt", "pausing"
    assert {by_class, by_position, by_constant, by_choice} <= set(by_code)
    assert by_code["unreachable"].message.startswith("The daemon does not answer")


def test_every_explanation_has_a_meaning_and_a_next_step() -> None:
    for part, codes in errors.explanations().items():
        assert part in errors.TITLES
        for code, (meaning, way_on) in codes.items():
            assert meaning.endswith((".", ").")) and way_on.endswith((".", "`.")), code


def test_every_command_has_a_section_and_stands_in_the_list() -> None:
    text = (DOCS / "commands.md").read_text("utf-8")
    names = [path for path, command in commands.commands(commands.root()) if not hasattr(command, "commands")]
    assert len(names) > 30
    for name in names:
        assert f"[`{name}`](#{name.replace(' ', '-')})" in text
        assert f"# {name}\n" in text
