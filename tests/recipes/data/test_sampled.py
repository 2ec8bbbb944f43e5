"""Lengths for plans: exact in small files, from pieces spread over large ones, estimated without a tokenizer."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tunesmith.recipes.data.checking import sampled
from tunesmith.recipes.errors import DataError


def written(path: Path, rows: int, words: int = 20) -> Path:
    """The second half of the rows is four times as long as the first."""
    with path.open("w") as file:
        for number in range(rows):
            answer = "a small answer " * (words * (4 if number >= rows // 2 else 1))
            file.write(json.dumps({"prompt": f"Question {number}?", "completion": answer}) + "\n")
    return path


def test_the_tokenizer_of_a_model_counts(tmp_path: Path, starter_tokenizer_folder: Path) -> None:
    file = written(tmp_path / "rows.jsonl", 10)
    counted = sampled.lengths([str(file)], str(starter_tokenizer_folder))
    estimated = sampled.lengths([str(file)], None)
    assert (counted.rows, counted.looked_at, counted.counted, estimated.counted) == (10, 10, True, False)
    assert estimated.tokens.total == pytest.approx(counted.tokens.total, rel=0.3), "near enough for a plan"
    assert not counted.sampled


def test_of_a_large_file_pieces_from_all_of_it_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "rows.jsonl", 4000)
    whole = sampled.lengths([str(file)], None)
    monkeypatch.setattr(sampled, "WHOLE_BYTES", 1 << 16)
    monkeypatch.setattr(sampled, "PIECE_BYTES", 1 << 13)
    part = sampled.lengths([str(file)], None)
    assert part.sampled and part.looked_at < whole.rows / 4
    assert part.rows == pytest.approx(whole.rows, rel=0.1), "told from the bytes of a row"
    assert part.tokens.max == whole.tokens.max, "the long rows of the second half are among them"


def test_of_a_compressed_file_the_first_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = written(tmp_path / "rows.jsonl", 5000)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    monkeypatch.setattr(sampled, "WHOLE_BYTES", 1)
    monkeypatch.setattr(sampled, "PIECE_BYTES", 1)
    part = sampled.lengths([str(packed)], None)
    assert 0 < part.looked_at < 5000


def test_a_line_longer_than_a_piece_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "rows.jsonl", 3, words=2000)
    monkeypatch.setattr(sampled, "WHOLE_BYTES", 1)
    monkeypatch.setattr(sampled, "PIECE_BYTES", 100)
    assert sampled.lengths([str(file)], None).looked_at == 3


def test_scripts_without_spaces_have_more_tokens_a_character() -> None:
    assert sampled.tokens_of("你好世界你好世界") == 5
    assert sampled.tokens_of("abcdefgh") == 2


def test_data_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"unheard": 1}\n')
    with pytest.raises(DataError):
        sampled.lengths([str(file)], None)
