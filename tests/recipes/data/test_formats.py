"""What each format makes of its cells, columns, paragraphs and lists, and what it says about the file."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.data.files import encodings, formats, reading, sources
from tunesmith.recipes.data.files.formats.text import PIECE_BYTES
from tunesmith.recipes.data.rows import FileNotice, RawRow, RejectedRow


def read(path: Path, content: str | bytes | None = None) -> list[Any]:
    """Values of kept rows, (line, code) of rejected ones, codes of notices."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found: list[Any] = []
    for row in reading.rows(sources.find([path])):
        match row:
            case RawRow(value=value):
                found.append(value)
            case RejectedRow(line=line, code=code):
                found.append((line, code))
            case FileNotice(code=code):
                found.append(code)
    return found


def test_every_format_is_a_card_and_no_suffix_stands_twice() -> None:
    assert list(formats.cards()) == ["csv", "json", "jsonl", "parquet", "text"]
    suffixes = sources.suffixes()
    assert len(set(suffixes)) == len(suffixes)


def test_cells_are_texts_but_for_messages_and_labels(tmp_path: Path) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    turns = [{"role": "user", "content": 'a "b"\nc'}]
    writer.writerow(["messages", "tools", "prompt", "completion", "positives", "label", "n"])
    writer.writerow([json.dumps(turns), "", json.dumps(turns), '[{"name": "x"}]', '["a", "b"]', "True", "5"])
    writer.writerow(["[]", "[]", "[INST] x", "[1, 2]", "[x]", "joy", ""])
    assert read(tmp_path / "rows.csv", table.getvalue()) == [
        {"messages": turns, "tools": None, "prompt": turns, "completion": '[{"name": "x"}]', "positives": ["a", "b"]}
        | {"label": True, "n": "5"},
        {"messages": [], "tools": [], "prompt": "[INST] x", "completion": "[1, 2]", "positives": "[x]"}
        | {"label": "joy", "n": ""},
    ]


def test_after_a_quotation_mark_that_is_never_closed_reading_goes_on(tmp_path: Path) -> None:
    found = read(tmp_path / "rows.csv", 'a,b\n1,"2\n3,4\n5,6\n')
    assert found == [(2, "stray_quote"), {"a": "3", "b": "4"}, {"a": "5", "b": "6"}]


def test_a_record_of_several_lines_counts_once_and_has_its_first_line(tmp_path: Path) -> None:
    assert read(tmp_path / "rows.csv", 'a,b\n"x\ny",2\n"x\ny"\n1,2\n') == [
        {"a": "x\ny", "b": "2"},
        (4, "wrong_fields"),
        {"a": "1", "b": "2"},
    ]


@pytest.mark.parametrize(("name", "separator", "notices"), [("r.csv", ";", 1), ("r.csv", "|", 1), ("r.tsv", "\t", 0)])
def test_the_separator_is_the_one_that_splits_the_header_most(
    name: str, separator: str, notices: int, tmp_path: Path
) -> None:
    found = read(tmp_path / name, f"a{separator}b\n1,5{separator}2\n")
    assert found == ["separator"] * notices + [{"a": "1,5", "b": "2"}]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@given(rows=st.lists(st.tuples(cells, cells, cells), max_size=6), separator=st.sampled_from(",;\t|"))
def test_whatever_is_written_as_csv_is_read_back(
    rows: list[tuple[str, str, str]], separator: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = io.StringIO()
    writer = csv.writer(table, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    found = read(tmp_path_factory.getbasetemp() / "any.csv", table.getvalue())
    assert [tuple(row.values()) for row in found if isinstance(row, dict)] == rows


def test_parquet_gives_plain_values(tmp_path: Path) -> None:
    day = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    turns = [{"role": "user", "content": "é"}]
    row = {"m": turns, "n": 1, "at": day, "cost": decimal.Decimal("1.50"), "raw": b"\xff"}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == [
        {"m": turns, "n": 1, "at": "2026-01-02 00:00:00+00:00", "cost": "1.50", "raw": b"\xff"}
    ]


def test_parquet_of_several_groups_counts_its_rows_through(tmp_path: Path) -> None:
    table = pyarrow.table({"at": list(range(1, 5001)), "text": ["x" * 3000] * 5000})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=1500)
    rows = list(reading.rows(sources.find([tmp_path / "rows.parquet"])))
    assert [row.line for row in rows if isinstance(row, RawRow) and row.value["at"] == row.line] == list(range(1, 5001))


def test_a_map_of_parquet_is_an_object_and_a_doubled_key_costs_its_row(tmp_path: Path) -> None:
    maps = pyarrow.array([[("a", 1)], [("a", 1), ("a", 2)], []], pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    pyarrow.parquet.write_table(pyarrow.table({"tools": maps}), tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == [{"tools": {"a": 1}}, (2, "duplicate_key"), {"tools": {}}]


def test_an_object_with_one_list_is_a_container_and_the_rest_is_named(tmp_path: Path) -> None:
    content = json.dumps({"version": 2, "rows": [{"a": 1}, {"a": 2}], "licence": {"name": "MIT"}})
    assert read(tmp_path / "rows.json", content) == [{"a": 1}, {"a": 2}, "beside"]


@pytest.mark.parametrize("key", ["messages", "conversations", "chosen", "tools", "turns"])
def test_an_object_with_messages_is_a_row(key: str, tmp_path: Path) -> None:
    value = {key: [{"role": "user", "content": "x"}], "source": "s"}
    assert read(tmp_path / "rows.json", json.dumps(value, indent=2)) == [value]


def test_a_second_list_is_told_and_not_mixed_in(tmp_path: Path) -> None:
    content = json.dumps({"train": [{"a": 1}], "test": [{"a": 2}, {"a": 3}]})
    assert read(tmp_path / "rows.json", content) == [{"a": 1}, (2, "second_list")]


@pytest.mark.parametrize("indent", [1, 2])
def test_an_open_text_costs_its_row_where_rows_start_alike(indent: int, tmp_path: Path) -> None:
    content = json.dumps([{"a": [{"b": "first"}]}, {"a": [{"b": "second"}]}, {"a": []}], indent=indent)
    assert read(tmp_path / "rows.json", content.replace('second"', "second")) == [
        {"a": [{"b": "first"}]},
        (2, "not_json"),
        {"a": []},
    ]


def test_paragraphs_stand_together_up_to_a_piece(tmp_path: Path) -> None:
    paragraphs = [f"{index} " + "word " * 600 for index in range(20)]
    found = read(tmp_path / "book.txt", "\n\n".join(paragraphs))
    assert all(len(row["text"].encode()) <= PIECE_BYTES for row in found)
    assert [row["text"].split("\n\n") for row in found] == [paragraphs[at : at + 5] for at in range(0, 20, 5)]


@given(text=st.text(st.sampled_from("aé \n世"), max_size=200), size=st.integers(4, 40))
def test_no_character_of_a_text_is_lost(text: str, size: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.recipes.data.files.formats.text.PIECE_BYTES", size)
        found = read(tmp_path_factory.getbasetemp() / "any.txt", text)
    assert "".join("".join(row["text"] for row in found).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"plain", "utf-8"),
        ("déjà vu".encode(), "utf-8"),
        ("déjà vu".encode()[:2], "utf-8"),
        ("déjà vu".encode("cp1252"), "cp1252"),
        ("\u201cquoted\u201d \u2013 \u20ac5".encode("cp1252"), "cp1252"),
        ("你好，世界".encode("gbk"), "utf-8"),
        ("こんにちは".encode("shift-jis"), "utf-8"),
        ("привет".encode("cp1251"), "utf-8"),
        ("déjà vu ".encode() * 30 + b"\xe9 ", "utf-8"),
        (b"a\x81b", "utf-8"),
        ("x".encode("utf-16"), "utf-16-le"),
        ('{"a": 1}'.encode("utf-16-be"), "utf-16-be"),
    ],
)
def test_an_encoding_is_named_only_where_it_is_sure(content: bytes, name: str) -> None:
    assert encodings.detect(content).name == name


@given(text=st.text(max_size=60).filter(lambda text: "\0" not in text), size=st.integers(1, 7))
def test_utf16_is_transcoded_in_pieces_of_any_size(text: str, size: int) -> None:
    content = text.encode("utf-16", "surrogatepass")
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    found = b"".join(encodings.as_utf8(pieces, encodings.Encoding("utf-16-le", 2)))
    assert found.decode("utf-8", "surrogatepass") == text
