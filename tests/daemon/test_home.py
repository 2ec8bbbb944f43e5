"""Where things lie: the home, its socket's length, and folders that are ours alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tunesmith.daemon.api.home import SOCKET_PATH_LIMIT, Home, private_folder
from tunesmith.recipes.errors import DaemonError


def test_the_home_is_the_one_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "here"))
    assert Home.find().root == tmp_path / "here"
    assert not (tmp_path / "here").exists(), "finding the home makes nothing"


def test_without_it_the_home_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNESMITH_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Home.find().root == tmp_path / "tunesmith"


def test_a_deep_home_still_has_a_socket_path_that_fits(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("d" * 90) / "tunesmith")
    other = Home(tmp_path / ("e" * 90) / "tunesmith")
    assert len(os.fsencode(deep.socket)) <= SOCKET_PATH_LIMIT
    assert deep.socket != other.socket, "two homes never share a socket"
    assert deep.socket == Home(deep.root).socket, "the same home always has the same socket"


def test_the_socket_is_the_same_whatever_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = Home(tmp_path / ("d" * 90) / "tunesmith")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    in_a_session = deep.socket
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert deep.socket == in_a_session, "a service and a cron job find the same daemon"


def test_a_private_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "run")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_open_folder_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    assert stat.S_IMODE(private_folder(tmp_path / "run").stat().st_mode) == 0o700


def test_a_link_in_the_folder_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DaemonError, match="not a folder of yours"):
        private_folder(tmp_path / "run")
