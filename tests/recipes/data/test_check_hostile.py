"""The check over hostile files: every row is accounted for, in the report, as JSON and in the fixed file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.recipes.data.hostile import FILES, Hostile

from tunesmith.recipes.data.checking.check import Options, check
from tunesmith.tui.cli import data_text

# Large ones (those that a function writes, and two) are read in the tests of reading; here they would only take time.
LARGE = ("one_text_in_every_row.parquet", "late_damage.jsonl")
WRITTEN_OUT = [file for file in FILES if isinstance(file.content, bytes) and file.name not in LARGE]


def test_there_are_at_least_sixty() -> None:
    assert len(WRITTEN_OUT) >= 60


@pytest.mark.parametrize("hostile", WRITTEN_OUT, ids=lambda hostile: hostile.name)
def test_every_row_is_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], starter_tokenizer_folder: Path, hostile: Hostile
) -> None:
    (tmp_path / "data").mkdir()
    options = Options(
        files=(str(hostile.write(tmp_path / "data")),),
        model=str(starter_tokenizer_folder),
        rejected=str(tmp_path / "rejected.jsonl"),
        fixes=("dedup", "map", "strip-empty"),
        output=str(tmp_path / "clean.jsonl"),
        processes=1,
    )
    *_, report = check(options)
    data_text.print_report_json(report)
    told = json.loads(capsys.readouterr().out)
    assert told["rows_read"] == told["rows_kept"] + len(told["rejected"]) == report.rows_read
    assert all(row["file"] and row["line"] >= 0 and row["reason"] for row in told["rejected"])
    if report.fixed is not None:
        assert report.fixed.rows_read == report.fixed.rows_written + sum(report.fixed.left_out.values())
        assert report.fixed.rows_read == report.rows_read
    data_text.print_report(report, "starter")
    assert "Traceback" not in capsys.readouterr().out
