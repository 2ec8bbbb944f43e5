"""A path to an image as it is typed or dropped into a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.tui.attaching import typed_path


@pytest.mark.parametrize("typed", ["{0}", " {0} ", "'{0}'", '"{0}"', "{1}", "~/my cat.png", "'~/my cat.png'"])
def test_a_path_is_understood_however_a_terminal_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "my cat.png"
    path.touch()
    assert typed_path(typed.format(path, str(path).replace(" ", "\\ "))) == path


def test_a_name_that_looks_quoted_is_taken_as_it_is_where_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "it's \\ here.png"
    path.touch()
    assert typed_path(str(path)) == path


def test_what_is_not_there_is_given_back_to_be_refused(tmp_path: Path) -> None:
    for text in (f"{tmp_path}/no cat.png", f"{tmp_path}/it's gone.png", "~nobody/x.png"):
        assert str(typed_path(text)).endswith(".png")
