"""Files of a person's own words: private, whole or as before, and a line can be taken back while it is the last."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tunesmith.daemon.api import private_files
from tunesmith.recipes.errors import DaemonError, MachineError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_readable_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "chats" / "a.json"
    private_files.write(path, b"one")
    private_files.write(path, b"two")
    assert path.read_bytes() == b"two" and (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_lines_are_appended_and_counted_also_behind_one_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "rows" / "a.jsonl"
    assert private_files.append(path, b"1\n") == 1
    path.write_bytes(b"1\n2")
    assert private_files.append(path, b"3\n") == 3
    assert path.read_bytes() == b"1\n2\n3\n" and mode(path) == 0o600


def test_the_last_line_is_taken_back_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "rows" / "a.jsonl"
    private_files.append(path, b"1\n")
    private_files.append(path, b"22\n")
    with pytest.raises(MachineError, match="does not end with that row"):
        private_files.take_back(path, b"2\n")
    assert private_files.take_back(path, b"22\n") == 1
    with pytest.raises(MachineError) as error:
        private_files.take_back(path, b"22\n")
    assert error.value.code == "row_gone" and path.read_bytes() == b"1\n"


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows" / "a.jsonl"
    private_files.append(path, b"1\n")
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, at: real(handle, data[:1], at))
    with pytest.raises(MachineError) as error:
        private_files.append(path, b"22\n")
    assert error.value.code == "disk_full" and path.read_bytes() == b"1\n"


def test_links_are_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine", "utf-8")
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.jsonl").symlink_to(other)
    with pytest.raises(MachineError):
        private_files.append(folder / "a.jsonl", b"1\n")
    (tmp_path / "elsewhere").symlink_to(folder)
    with pytest.raises(DaemonError):
        private_files.write(tmp_path / "elsewhere" / "b", b"1")
    assert other.read_text("utf-8") == "mine"
