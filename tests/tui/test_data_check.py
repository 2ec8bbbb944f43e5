"""Every row of a file is accounted for, by the same rules as the worker's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.recipes.data.reading import REASONS
from tunesmith.recipes.errors import DataError
from tunesmith.tui.data_check import check
from tunesmith.tui.texts import load

GOOD = b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}'
LINES = [
    GOOD,
    b"not json",
    b"[1]",
    b"{}",
    b'{"messages": []}',
    b'{"messages": "x"}',
    b'{"messages": [1]}',
    b'{"messages": [{"role": "bot", "content": "x"}]}',
    b'{"messages": [{"role": ["user"], "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": 5}]}',
    b'{"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "  "}]}',
    b'{"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": "x"}]}',
    b'{"messages": [{"role": "assistant", "content": "x", "loss": false}]}',
    b'{"messages": [{"role": "assistant", "content": "x", "loss": 1}]}',
    b'{"messages": [{"role": "assistant", "content": "\\ud800"}]}',
    b'{"messages": [{"role": "assistant", "content": "\xff"}]}',
    b"[" * 100_000,
]


def test_every_bad_row_is_named_with_its_line_and_none_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n".join(LINES))
    *_, report = check(str(file))
    assert report.rows_read == len(LINES) == report.rows_kept + report.rows_rejected
    assert [row.line for row in report.preview] == [1, 11], "only the two that can be trained on are kept"
    assert all(row.reason for row in report.rejected)


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_reads_the_same_in_wizard_and_worker(code: str) -> None:
    assert load("en")[f"data.{code}"] == REASONS[code]


def test_a_file_with_broken_lines_is_counted_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\n\n" + b"{broken\n" + GOOD + b"\r\n")
    *_, report = check(str(file))
    assert (report.rows_read, report.rows_kept, report.rows_rejected) == (3, 2, 1)
    assert [row.line for row in report.rejected] == [3]
    assert [row.line for row in report.preview] == [1, 4]


def test_a_large_file_reports_while_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(json.loads(GOOD)) for _ in range(4500)))
    reports = list(check(str(file)))
    assert [(r.rows_read, r.finished) for r in reports] == [(2000, False), (4000, False), (4500, True)]


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_an_error_with_a_next_step(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(DataError) as error:
        list(check(str(file)))
    assert "empty" in error.value.message and "messages" in error.value.hint


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(DataError) as error:
            list(check(str(path)))
        assert error.value.hint
