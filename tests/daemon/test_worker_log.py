"""A worker may print as much as it likes: its log keeps the beginning and the end, and the worker notices nothing."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from tunesmith.daemon import worker_log

FLOOD = """
import os, sys
line = b"a line that a library prints, and nobody reads %09d\\n"
os.write(1, b"this is the beginning\\n")
for start in range(0, int(sys.argv[1]), 10_000):
    os.write(1, b"".join(line % number for number in range(start, start + 10_000)))
os.write(1, b"this is the end\\n")
"""


def trim(path: Path) -> int:
    return worker_log.trim(path, most=1_000_000, head=100_000, tail=200_000)


def test_beginning_and_end_stay(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.log"
    path.write_bytes(b"".join(b"line %07d\n" % number for number in range(100_000)))
    size = path.stat().st_size
    left_out = trim(path)
    text = path.read_bytes()
    assert text.startswith(b"line 0000000\n") and text.endswith(b"line 0099999\n")
    assert b"[... %d bytes were left out here ...]\n" % left_out in text
    assert len(text) < 310_000 and size - left_out <= len(text)
    assert all(line.startswith((b"line ", b"[...")) for line in text.splitlines()), "lines are cut out whole"


def test_a_small_log_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.log"
    path.write_text("all of it\n")
    assert trim(path) == 0 and path.read_text() == "all of it\n"
    assert trim(tmp_path / "missing") == 0


def test_a_log_without_lines_is_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.log"
    path.write_bytes(b"x" * 2_000_000)
    assert trim(path) > 0
    assert path.stat().st_size < 310_000


def test_two_do_not_cut_at_once(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.log"
    path.write_bytes(b"x\n" * 1_000_000)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert trim(path) == 0
    assert trim(path) > 0


def test_who_writes_meanwhile_goes_on_behind_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.log"
    most = 0
    with path.open("ab") as output, subprocess.Popen([sys.executable, "-c", FLOOD, "2000000"], stdout=output) as worker:
        while worker.poll() is None:
            most = max(most, path.stat().st_size)
            trim(path)
    assert worker.returncode == 0
    trim(path)
    text = path.read_bytes()
    assert text.startswith(b"this is the beginning\n") and text.endswith(b"this is the end\n")
    assert len(text) <= 1_000_000 < most, "the flood was larger than what is kept"
    assert b"\0" not in text, "it appends: no hole where it was cut"
