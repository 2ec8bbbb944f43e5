"""Over every hostile file: reading ends, raises nothing, accounts for every row and holds little of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.recipes.data.hostile import FILES, Hostile

from tunesmith.recipes.data.files import reading, sources
from tunesmith.recipes.data.rows import FileNotice, RawRow, RejectedRow


def test_there_are_at_least_sixty_and_each_has_its_own_name() -> None:
    assert len({file.name for file in FILES}) == len(FILES) >= 60


@pytest.mark.parametrize("hostile", FILES, ids=lambda hostile: hostile.name)
def test_every_row_is_kept_or_rejected_with_its_reason(hostile: Hostile, tmp_path: Path) -> None:
    found = list(reading.rows(sources.find([hostile.write(tmp_path)])))
    rejected = [row for row in found if isinstance(row, RejectedRow)]
    assert tuple(row.code for row in rejected) == hostile.rejected
    assert sum(isinstance(row, RawRow) for row in found) == hostile.kept
    assert tuple(row.code for row in found if isinstance(row, FileNotice)) == hostile.notices
    assert all(row.reason and row.line >= 1 and len(row.text) <= 2000 for row in rejected)


HUGE = ("long_line.jsonl", "holes.jsonl", "gzip_bomb.jsonl.gz", "zstd_bomb.jsonl.zst", "long_element.json")
READ_AND_TELL_PEAK = """
import sys
from tunesmith.recipes.data.files import reading, sources
for _ in reading.rows(sources.find(sys.argv[1:])): pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux")
def test_huge_files_take_little_memory(tmp_path: Path) -> None:
    names = {*HUGE, "endless_blanks.json", "longer_cell.csv", "long_line.txt"}
    paths = [str(hostile.write(tmp_path)) for hostile in FILES if hostile.name in names]
    assert len(paths) == len(names)
    command = [sys.executable, "-c", READ_AND_TELL_PEAK, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 350 * 2**20


def test_an_archive_is_never_unpacked(tmp_path: Path) -> None:
    archives = [hostile for hostile in FILES if hostile.name.startswith(("zip", "tar"))]
    assert len(archives) == 3
    for hostile in archives:
        assert len(list(reading.rows(sources.find([hostile.write(tmp_path)])))) == 1
    assert {path.name for path in tmp_path.iterdir()} == {hostile.name for hostile in archives}
    assert not list(tmp_path.parent.glob("slipped*"))
