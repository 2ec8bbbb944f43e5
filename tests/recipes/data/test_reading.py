"""Files are cut into chunks and read the same, however they are cut or packed."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.data.files import compression, json_stream, opened, reading, sources
from tunesmith.recipes.data.files.json_rows import depth
from tunesmith.recipes.data.files.limits import Limits
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import RawRow, RejectedRow


def write(path: Path, content: str | bytes = '{"text": "x"}\n') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(*paths: Path | str, limits: Limits | None = None) -> list[Any]:
    """Values of kept rows and codes of rejected ones."""
    found = reading.rows(sources.find(paths), limits or Limits())
    return [row.value if isinstance(row, RawRow) else row.code for row in found]


def test_chunks_meet_at_line_ends_and_count_lines(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "é" * (index % 700), "at": index}) for index in range(1, 9000)]
    lines[4000] = ""
    file = write(tmp_path / "rows.jsonl", "\n".join(lines))
    chunks = list(reading.chunks(sources.find([file])))
    assert len(chunks) > 3 and all(chunk.rows is None for chunk in chunks)
    assert [chunk.start for chunk in chunks[1:]] == [chunk.end for chunk in chunks[:-1]]
    rows = [row for chunk in chunks for row in reading.rows_of(pickle.loads(pickle.dumps(chunk)))]
    assert all(isinstance(row, RawRow) and row.value["at"] == row.line for row in rows)
    assert len(rows) == 8998


def test_rows_are_the_same_packed_or_not(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"at": index, "text": "x" * 50}) + "\n" for index in range(40_000)) + "{\n"
    plain = write(tmp_path / "rows.jsonl", lines)
    packed = write(tmp_path / "rows.jsonl.gz", gzip.compress(lines.encode()))
    wide = write(tmp_path / "wide.jsonl", lines.encode("utf-16"))
    assert values(plain) == values(packed) == values(wide)[1:]


def test_a_file_that_goes_away_is_one_rejected_row(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl")
    files = sources.find([file])
    chunks = list(reading.chunks(files))
    file.write_bytes(b"")
    [shorter] = [row for chunk in chunks for row in reading.rows_of(chunk)]
    file.unlink()
    [gone] = reading.rows(files)
    assert isinstance(shorter, RejectedRow) and isinstance(gone, RejectedRow)
    assert (shorter.code, gone.code) == ("broken_off", "unreadable")


def test_a_row_longer_than_the_limit_costs_one_row_in_every_format(tmp_path: Path) -> None:
    long = "x" * 300
    lines = f'{{"a": "1"}}\n{{"a": "{long}"}}\n{{"a": "2"}}\n'
    files = [
        write(tmp_path / "rows.jsonl", lines),
        write(tmp_path / "rows.jsonl.gz", gzip.compress(lines.encode())),
        write(tmp_path / "rows.json", f"[{','.join(lines.splitlines())}]"),
        write(tmp_path / "rows.csv", f"a\n1\n{long}\n2\n"),
    ]
    for file in files:
        assert values(file, limits=Limits(row_bytes=100)) == [{"a": "1"}, "too_long_row", {"a": "2"}]


def test_a_bomb_stops_at_the_ratio_and_at_the_total(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl.gz", gzip.compress(b"{}\n" * 400_000))
    assert values(file).count({}) == 400_000
    for limits in (Limits(ratio_free_bytes=1000), Limits(total_bytes=1000)):
        assert values(file, limits=limits)[-1] == "broken_off"


texts = st.text(st.characters(codec="utf-8"), max_size=40)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(texts, plain_values, max_size=4)


@given(st.lists(objects, max_size=8), st.sampled_from([None, 1, 3]), st.integers(1, 20), st.booleans())
def test_a_list_is_read_the_same_in_pieces_of_any_size(
    rows: list[dict[str, Any]], indent: int | None, size: int, ascii_only: bool
) -> None:
    text = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    buffer = json_stream.Buffer(pieces, Limits(), least=1)
    assert buffer.peek() == "["
    buffer.at += 1
    found = []
    while buffer.peek() != "]":
        found.append(buffer.take()[1])
        if buffer.peek() == ",":
            buffer.at += 1
    assert found == rows


@given(plain_values, st.integers(1, 9))
def test_a_value_is_skipped_exactly_in_pieces_of_any_size(value: Any, size: int) -> None:
    text = json.dumps(value, ensure_ascii=False).encode() + b",next"
    buffer = json_stream.Buffer((text[at : at + size] for at in range(0, len(text), size)), Limits(), least=1)
    buffer.peek()
    buffer.skip()
    assert buffer.peek() == ","


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(1, 60))
def test_lines_are_split_the_same_in_pieces_of_any_size(content: bytes, size: int, longest: int) -> None:
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    found = list(opened.lines(pieces, longest))
    whole = content.split(b"\n")
    whole = whole[:-1] if whole[-1] == b"" else whole
    assert found == [(number, line if len(line) <= longest else None) for number, line in enumerate(whole, 1)]


@given(parts=st.lists(st.binary(max_size=300), max_size=4), cut=st.integers(0, 40), level=st.integers(1, 4))
def test_gzip_gives_what_was_packed_or_says_that_it_breaks_off(
    parts: list[bytes], cut: int, level: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = b"".join(gzip.compress(part, level) for part in parts)
    file = tmp_path_factory.getbasetemp() / "any.gz"
    file.write_bytes(whole)
    assert b"".join(compression.pieces(file, "gzip")) == b"".join(parts)
    file.write_bytes(whole[: len(whole) - cut] if cut else whole + b"\0" * 8)
    seen = b""
    try:
        for piece in compression.pieces(file, "gzip"):
            seen += piece
    except BadRow as error:
        assert error.code == "broken_off"
    assert b"".join(parts).startswith(seen)


ending = st.sampled_from(["jsonl", "json", "csv", "tsv", "txt"])
likely = st.lists(st.sampled_from([b'"', b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r", b"a", b"1", b"\\", b"\xe9"]))


@given(content=st.binary(max_size=400) | likely.map(b"".join), suffix=ending)
def test_any_bytes_are_read_to_the_end(content: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    file.write_bytes(content)
    for row in reading.rows(sources.find([file])):
        assert not isinstance(row, RejectedRow) or row.reason


def test_depth_counts_lists_and_objects() -> None:
    nested: list[Any] = ["x", [], {"a": 1}, {"a": [{"b": []}, 1]}]
    assert [depth(value) for value in nested] == [0, 1, 1, 4]
