"""The pictures of the documents, and the keys beside them, are the wizard's of today."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from making import pictures, wizard

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wizard_s_page_and_its_pictures_are_as_made_now() -> None:
    taken = pictures.pictures()
    assert len(taken) == len(pictures.SHOTS) * len(pictures.LANGUAGES)
    stale = [one.file.name for one in taken if one.file.read_text("utf-8") != one.svg]
    stale += [path.name for path, text in wizard.pages(taken) if path.read_text("utf-8") != text]
    assert stale == [], "run: python docs/make.py pictures"


def test_no_picture_lies_there_that_nothing_makes_or_shows() -> None:
    files = {f"{name}{end}" for name in pictures.SHOTS for end in (".svg", ".zh.svg")}
    assert {path.name for path in pictures.FOLDER.iterdir()} == files
    pages = "".join(path.read_text("utf-8") for path in DOCS.glob("*.md"))
    assert [name for name in files if f"pictures/{name}" not in pages] == []
