"""Over every hostile file: reading ends, raises nothing, accounts for every row and holds little of it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from tests.recipes.data.hostile import FILES, Hostile

from tunesmith.recipes.data import reading, sources
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


LARGE = ("long_line.jsonl", "holes.jsonl", "gzip_bomb.jsonl.gz", "zstd_bomb.jsonl.zst", "long_element.json")


@pytest.mark.parametrize("name", [*LARGE, "endless_blanks.json", "longer_cell.csv"])
def test_a_huge_file_takes_little_memory(name: str, tmp_path: Path) -> None:
    [hostile] = [file for file in FILES if file.name == name]
    files = sources.find([hostile.write(tmp_path)])
    tracemalloc.start()
    try:
        rows = sum(not isinstance(row, FileNotice) for row in reading.rows(files))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == hostile.kept + len(hostile.rejected)
    assert peak < 300 * 2**20


def test_an_archive_is_never_unpacked(tmp_path: Path) -> None:
    for file in FILES:
        if file.name.startswith(("zip", "tar")):
            list(reading.rows(sources.find([file.write(tmp_path)])))
    assert {path.name for path in tmp_path.iterdir()} == {file.name for file in FILES if file.name[:3] in ("zip", "tar")}
    assert not list(tmp_path.parent.glob("slipped*"))
