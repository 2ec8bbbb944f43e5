"""Files, folders and globs are found, and what is no data is refused with a way out."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tunesmith.recipes.data.files import sources
from tunesmith.recipes.errors import DataError


def write(path: Path, content: str | bytes = '{"text": "x"}\n') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def names(*given: Path | str) -> list[str]:
    return [Path(file.path).name for file in sources.find(given)]


def refusal(*given: Path | str) -> DataError:
    with pytest.raises(DataError) as caught:
        sources.find(given)
    assert caught.value.hint
    return caught.value


def test_a_folder_gives_its_data_files_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/c.csv", "a/d.parquet.bak", ".hidden.jsonl", ".git/e.jsonl", "README.md", "state.json"):
        write(tmp_path / name)
    assert names(tmp_path) == ["c.csv", "b.jsonl"]


def test_a_folder_of_texts_gives_texts(tmp_path: Path) -> None:
    write(tmp_path / "book.txt", "Once.")
    assert [file.format for file in sources.find([tmp_path])] == ["text"]


def test_a_glob_goes_into_folders_and_no_file_comes_twice(tmp_path: Path) -> None:
    for name in ("a.jsonl", "deep/er/b.jsonl", "deep/c.csv"):
        write(tmp_path / name)
    assert names(f"{tmp_path}/**/*.jsonl", tmp_path / "a.jsonl", tmp_path) == ["a.jsonl", "b.jsonl", "c.csv"]


def test_a_name_with_a_bracket_is_no_glob_when_it_is_there(tmp_path: Path) -> None:
    assert names(write(tmp_path / "rows[1].jsonl")) == ["rows[1].jsonl"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.zip", b"PK\x03\x04", "ZIP archive"),
        ("data.tar.gz", b"\x1f\x8b", "an archive"),
        ("data.xlsx", b"PK\x03\x04", "ZIP archive"),
        ("rows.parquet.gz", gzip.compress(b"PAR1", mtime=0), "compressed as a whole"),
        ("rows.bin", b"\x00\x01\x02", "no known format"),
    ],
)
def test_what_is_no_data_is_refused_with_a_way_out(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(write(tmp_path / name, content)).message


def test_what_is_missing_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl")
    assert "train.jsonl" in refusal(tmp_path / "trian.jsonl").hint
    assert "No file matches" in refusal(f"{tmp_path}/*.csv").message
    (tmp_path / "empty").mkdir()
    assert "No data file" in refusal(tmp_path / "empty").message


def test_a_pipe_is_refused_before_reading_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "no regular file" in refusal(tmp_path / "pipe.jsonl").message


def test_a_link_out_of_a_folder_is_named_and_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.jsonl")
    write(tmp_path / "folder/a.jsonl")
    (tmp_path / "folder/link.jsonl").symlink_to(outside)
    assert "link.jsonl" in refusal(tmp_path / "folder").message
    (tmp_path / "folder/link.jsonl").unlink()
    (tmp_path / "folder/loop").symlink_to(tmp_path / "folder")
    assert names(tmp_path / "folder") == ["a.jsonl"]


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("rows.json", '{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("rows.json", '[{"a": 1}]', "json"),
        ("rows.json", '{"a": 1}', "json"),
        ("rows.jsonl", '[\n  {"a": 1}\n]', "json"),
        ("rows.jsonl", "[1]\n[2]\n", "jsonl"),
        ("rows", '{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("rows.data", "a,b\n1,2\n", "csv"),
        ("rows.data", b"PAR1", "parquet"),
        ("rows.ndjson", "", "jsonl"),
        ("rows.jsonl", '{"a": [\n{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("rows.jsonl", '{"a": [\n{"a": [\n{"a": [\n', "jsonl"),
        ("rows.jsonl", '[\n{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("rows.jsonl", '[\n{"a": 1},\n{"a": 2}\n]', "json"),
        ("rows.jsonl", '{"a": "' + "x" * 300_000 + '"}\n{"a": 2}\n', "jsonl"),
        ("rows.json", '{"a": [\n{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("rows.json", '[{"turns": [\n {"role": "user"},\n {"role": "assistant"}]},\n{"turns": []}]', "json"),
        ("rows.json", '{"rows": [' + '{"a": 1}, ' * 90_000 + '{"a": 1}]}', "json"),
    ],
)
def test_the_content_decides_where_the_name_does_not(
    name: str, content: str | bytes, format: str, tmp_path: Path
) -> None:
    assert sources.find([write(tmp_path / name, content)])[0].format == format
