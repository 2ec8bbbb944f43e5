"""Hostile data files by name: how each is written and what reading it must come to."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

MIB = 2**20


class Hostile(msgspec.Struct, frozen=True):
    """A file called `name` with `content` (bytes, or what writes them), of which `kept` rows can be decoded.

    `rejected` are the codes of the rows that cannot, in order; `notices` those of what is said about the whole file.
    """

    name: str
    content: bytes | Callable[[Path], None]
    kept: int = 0
    rejected: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            self.content(path)
        return path


def row(index: int = 0, answer: str = "An answer") -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Question {index}"}, {"role": "assistant", "content": answer}]
    return {"messages": messages}


def good(index: int = 0, answer: str = "An answer") -> bytes:
    return json.dumps(row(index, answer), ensure_ascii=False).encode()


def jsonl(*lines: bytes, end: bytes = b"\n") -> bytes:
    return end.join(lines) + end


def rows(count: int) -> list[bytes]:
    return [good(index) for index in range(count)]


def between(*bad: bytes) -> bytes:
    """The bad lines with a good row before and after."""
    return jsonl(good(1), *bad, good(2))


def message(role: Any, content: Any) -> bytes:
    return json.dumps({"messages": [{"role": role, "content": content}]}).encode()


def table(*columns: tuple[str, list[Any]], **options: Any) -> bytes:
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    arrays = [values if isinstance(values, pyarrow.Array) else pyarrow.array(values) for _, values in columns]
    built = pyarrow.Table.from_arrays(arrays, names=[name for name, _ in columns])
    pyarrow.parquet.write_table(built, file, **options)
    return file.getvalue()


def zstd(content: bytes) -> bytes:
    import pyarrow

    packed: bytes = pyarrow.compress(content, codec="zstd", asbytes=True)
    return packed


def zip_slip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../../../tmp/slipped.jsonl", good())
    return file.getvalue()


def tar_slip() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("../../slipped.jsonl")
        entry.size = len(good())
        archive.addfile(entry, io.BytesIO(good()))
    return file.getvalue()


def repeated(*parts: tuple[bytes, int]) -> Callable[[Path], None]:
    """Writes each part so often, without holding the file."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            for part, times in parts:
                for _ in range(times):
                    file.write(part)

    return write


def gzip_bomb(path: Path) -> None:
    """16 GiB of nothing in 16 MiB, after one good row."""
    member = gzip.compress(b" " * (64 * MIB), 9)
    repeated((gzip.compress(jsonl(good())), 1), (member, 256))(path)


def zstd_bomb(path: Path) -> None:
    repeated((zstd(jsonl(good())), 1), (zstd(b" " * (64 * MIB)), 64))(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200 * MIB)


def bad_text() -> Any:
    """Three texts, the second of which is not UTF-8."""
    import pyarrow

    return pyarrow.array([b"one", b"t\xe9w\xffo", b"three"], pyarrow.binary()).cast(pyarrow.string(), safe=False)


def damaged_page(path: Path) -> None:
    content = bytearray(table(("text", [f"row {index}" for index in range(1000)]), compression="zstd"))
    content[40:400] = b"\xee" * 360
    path.write_bytes(content)


def bad_text_file(path: Path) -> None:
    path.write_bytes(table(("text", bad_text())))


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)) * 8
CSV = b"prompt,completion\n"
DEEP = 10**5
NOT_JSON, BROKEN = ("not_json",), ("broken_off",)

LINES = [
    Hostile("empty.jsonl", b""),
    Hostile("blank_lines.jsonl", b"\n \n\r\n\t\n\n" + jsonl(good()), 1, (), ("crlf",)),
    Hostile("only_blanks.jsonl", b" " * 5000),
    Hostile("no_last_line_end.jsonl", jsonl(good(1), good(2))[:-1], 2),
    Hostile("open_object.jsonl", between(b'{"messages": ['), 2, NOT_JSON),
    Hostile("first_line_open.jsonl", jsonl(b'{"messages": [', b"[", *rows(3)), 3, NOT_JSON * 2),
    Hostile("every_line_open.jsonl", jsonl(b'{"messages": [', b'{"messages": [', b'{"messages": ['), 0, NOT_JSON * 3),
    Hostile("single_quotes.jsonl", between(b"{'messages': []}"), 2, NOT_JSON),
    Hostile("trailing_comma.jsonl", between(good()[:-1] + b",}"), 2, NOT_JSON),
    Hostile("comma_after_row.jsonl", between(good() + b","), 2, NOT_JSON),
    Hostile("two_rows_in_a_line.jsonl", between(good() + good()), 2, NOT_JSON),
    Hostile("comment.jsonl", between(b"// a comment"), 2, NOT_JSON),
    Hostile("not_a_number.jsonl", between(b'{"text": "x", "score": NaN}', b'{"score": -Infinity}'), 2, NOT_JSON * 2),
    Hostile("endless_number.jsonl", between(b'{"n": 1e999}', b'{"n": ' + b"9" * 5000 + b"}"), 2, NOT_JSON * 2),
    Hostile("mixed_kinds.jsonl", between(b"[1]", b'"text"', b"3", b"null", b"true"), 2, ("not_object",) * 5),
    Hostile("duplicate_key.jsonl", between(b'{"text": "a", "text": "b"}'), 2, ("duplicate_key",)),
    Hostile("duplicate_inner_key.jsonl", between(b'{"a": [{"b": 1, "b": 2}]}'), 2, ("duplicate_key",)),
    Hostile("duplicate_by_escape.jsonl", between(rb'{"a": 1, "\u0061": 2}'), 2, ("duplicate_key",)),
    Hostile("nulls.jsonl", between(b'{"messages": null}', message("user", None)), 4),
    Hostile("wrong_roles.jsonl", between(message("robot", "x"), message(7, "x"), message(None, "x")), 5),
    Hostile("empty_answers.jsonl", between(message("assistant", ""), message("assistant", " \n")), 4),
    Hostile("mixed_types.jsonl", between(message("user", 5), message("user", {"a": 1}), b'{"messages": {}}'), 5),
    Hostile("nul_byte_in_text.jsonl", between(b'{"text": "a\x00b"}'), 2, NOT_JSON),
    Hostile("nul_escape.jsonl", between(rb'{"text": "a\u0000b"}'), 3),
    Hostile("nul_padding.jsonl", between() + b"\x00" * 4096, 2, NOT_JSON),
    Hostile("control_character.jsonl", between(b'{"text": "a\x1bb"}'), 2, NOT_JSON),
    Hostile("half_a_surrogate.jsonl", between(rb'{"text": "\ud83d"}'), 3),
    Hostile("not_utf8.jsonl", between(b'{"text": "\xff\xfe\xfd"}'), 2, ("not_utf8",), ("damaged",)),
    Hostile("encoded_surrogate.jsonl", between(b'{"text": "\xed\xa0\x80"}'), 2, ("not_utf8",), ("damaged",)),
    Hostile("overlong_slash.jsonl", between(b'{"text": "\xc0\xaf"}'), 2, ("not_utf8",), ("damaged",)),
    Hostile("cut_in_a_character.jsonl", jsonl(good()) + good(1, "né")[:-5], 1, ("not_utf8",)),
    Hostile("byte_order_mark.jsonl", b"\xef\xbb\xbf" + between(), 2, (), ("bom",)),
    Hostile("mark_in_the_middle.jsonl", between(b"\xef\xbb\xbf" + good()), 2, NOT_JSON),
    Hostile("crlf.jsonl", jsonl(good(1), b"[", good(2), end=b"\r\n"), 2, NOT_JSON, ("crlf",)),
    Hostile("carriage_returns.jsonl", jsonl(good(1), b"[", good(2), end=b"\r"), 2, NOT_JSON, ("cr",)),
    Hostile("line_separators.jsonl", jsonl(good(1, "a\u2028b\u0085c\x7f")), 1),
    Hostile("utf16_le.jsonl", b"\xff\xfe" + between(b"[").decode().encode("utf-16-le"), 2, NOT_JSON, ("utf16",)),
    Hostile("utf16_be.jsonl", b"\xfe\xff" + between(b"[").decode().encode("utf-16-be"), 2, NOT_JSON, ("utf16",)),
    Hostile("utf16_no_mark.jsonl", between().decode().encode("utf-16-le"), 2, (), ("utf16",)),
    Hostile("utf16_odd.jsonl", b"\xff\xfe" + between().decode().encode("utf-16-le") + b"x", 2, BROKEN, ("utf16",)),
    Hostile(
        "utf16_half_pair.jsonl",
        b"\xff\xfe" + b"".join([b'{"t": "'.decode().encode("utf-16-le"), b"\x3d\xd8", '"}\n{}'.encode("utf-16-le")]),
        1,
        ("not_utf8",),
        ("utf16",),
    ),
    Hostile("utf32.jsonl", between().decode().encode("utf-32"), 2, (), ("utf32",)),
    Hostile("cp1252.jsonl", between(good(3, "caf\u00e9").decode().encode("cp1252")), 3, (), ("cp1252",)),
    Hostile("cp1252_quotes.jsonl", between(b'{"text": "\x93so\x94 \x80 5"}'), 3, (), ("cp1252",)),
    Hostile("gbk.jsonl", between('{"text": "你好，世界"}'.encode("gbk")), 2, ("not_utf8",), ("damaged",)),
    Hostile("utf8_with_damage.jsonl", between(good(3, "déjà vu"), b'{"t": "\xe9 "}'), 3, ("not_utf8",), ("damaged",)),
    Hostile("late_damage.jsonl", jsonl(*rows(60_000), b'{"t": "\xe9"}'), 60_000, ("not_utf8",)),
    Hostile("deep_list.jsonl", between(b"[" * DEEP + b"]" * DEEP), 2, ("too_deep",)),
    Hostile("deep_object.jsonl", between(b'{"a":' * DEEP + b"1" + b"}" * DEEP), 2, ("too_deep",)),
    Hostile("deep_and_open.jsonl", between(b'{"a": ' + b"[" * DEEP), 2, ("too_deep",)),
    Hostile("a_little_deep.jsonl", between(b'{"a": ' + b"[" * 150 + b"]" * 150 + b"}"), 2, ("too_deep",)),
    Hostile("many_brackets.jsonl", between(json.dumps({"text": "[{" * 5000}).encode()), 3),
    Hostile("many_keys.jsonl", between(json.dumps({str(key): key for key in range(20_000)}).encode()), 3),
    Hostile(
        "long_line.jsonl",
        repeated((jsonl(good(1)) + b'{"text": "', 1), (b"x" * MIB, 100), (b'"}\n' + good(2), 1)),
        2,
        ("too_long_row",),
    ),
    Hostile("long_row_that_fits.jsonl", repeated((b'{"t": "', 1), (b"x" * MIB, 12), (b'"}\n' + good(), 1)), 2),
    Hostile("holes.jsonl", sparse, 0, ("too_long_row",)),
    Hostile("list_in_jsonl.jsonl", b"[" + b",\n".join(rows(3)) + b"]", 3),
    Hostile("parquet_by_name_only.jsonl", table(("text", ["a"])), 0, ("unreadable",)),
    Hostile("zip_by_name_only.jsonl", zip_slip(), 0, ("unreadable",)),
    Hostile("tar_by_name_only.jsonl", tar_slip(), 0, ("unreadable",)),
    Hostile("picture.jsonl", PICTURE, 0, ("not_utf8", "not_json", "not_utf8"), ("damaged", "crlf")),
]

PACKED = [
    Hostile("good.jsonl.gz", gzip.compress(between(b"[")), 2, NOT_JSON),
    Hostile("good.jsonl.zst", zstd(between(b"[")), 2, NOT_JSON),
    Hostile("members.jsonl.gz", b"".join(gzip.compress(jsonl(good(index))) for index in range(5)), 5),
    Hostile("frames.jsonl.zst", b"".join(zstd(jsonl(good(index))) for index in range(5)), 5),
    Hostile("not_packed.jsonl.gz", between(), 2),
    Hostile("packed_by_content.jsonl", gzip.compress(between()), 2),
    Hostile("truncated.jsonl.gz", gzip.compress(jsonl(*rows(1000)), 0)[:-20], 999, BROKEN),
    Hostile("truncated.jsonl.zst", zstd(jsonl(*rows(1000)))[:-5], 0, BROKEN),
    Hostile("wrong_checksum.jsonl.gz", gzip.compress(between())[:-8] + b"\0" * 8, 0, BROKEN),
    Hostile("garbage_after.jsonl.gz", gzip.compress(between()) + b"garbage", 2, BROKEN),
    Hostile("header_only.jsonl.gz", b"\x1f\x8b\x08", 0, BROKEN),
    Hostile("packed_twice.jsonl.gz", gzip.compress(gzip.compress(between())), 0, ("unreadable",)),
    Hostile("tar_inside.jsonl.gz", gzip.compress(tar_slip()), 0, ("unreadable",)),
    Hostile("gzip_bomb.jsonl.gz", gzip_bomb, 1, BROKEN),
    Hostile("zstd_bomb.jsonl.zst", zstd_bomb, 1, BROKEN),
    Hostile("utf16.csv.gz", gzip.compress("text,label\r\ncafé,1\r\n".encode("utf-16")), 1, (), ("utf16",)),
]

OBJECTS = [
    Hostile("empty.json", b""),
    Hostile("empty_list.json", b"[]"),
    Hostile("list.json", json.dumps([row(1), row(2)], indent=2).encode(), 2),
    Hostile("mixed_list.json", b'[{"a": 1}, 2, null, "x", [1], {"b": 2}]', 2, ("not_object",) * 4),
    Hostile("one_bad.json", b'[{"a": 1}, {"a": tru}, {"a": NaN}, {"a": 2}]', 2, NOT_JSON * 2),
    Hostile("duplicate_key.json", b'[{"a": 1}, {"a": 1, "a": 2}, {"a": 2}]', 2, ("duplicate_key",)),
    Hostile("open_text.json", b'[\n{"a": "1"},\n{"a": "2},\n{"a": "3"},\n{"a": "4"}\n]', 3, NOT_JSON),
    Hostile("open_list.json", b'[{"a": 1}, {"a": 2}', 2, BROKEN),
    Hostile("open_row.json", b'[{"a": 1}, {"a": [2', 1, BROKEN),
    Hostile("missing_comma.json", b'[{"a": 1} {"a": 2}]', 1, BROKEN),
    Hostile("text_after_end.json", b'[{"a": 1}] and more', 1, BROKEN),
    Hostile("lines_called_json.json", between(b"["), 2, NOT_JSON),
    Hostile("one_row.json", json.dumps(row(), indent=1).encode(), 1),
    Hostile("rows_in_a_row.json", b'{\n"a": 1\n}\n{\n"a": 2\n}', 2),
    Hostile("container.json", json.dumps({"by": 1, "data": [row(1), row(2)]}).encode(), 2, (), ("beside",)),
    Hostile("two_lists.json", json.dumps({"train": [row(1)], "test": [row(2)] * 3}).encode(), 1, ("second_list",)),
    Hostile("open_container.json", b'{"data": [{"a": 1}, {"a": 2}', 2, BROKEN),
    Hostile("tools_first.json", b'{"tools": [{"type": "function"}],\n "messages": [{"role": "user"}]}', 1),
    Hostile("deep.json", b'[{"a": 1}, ' + b"[" * DEEP + b"]" * DEEP + b', {"a": 2}]', 2, ("too_deep",)),
    Hostile("deep_and_open.json", b"[" * DEEP, 0, BROKEN),
    Hostile("not_utf8.json", b'[{"a": "x"}, {"a": "\xff\xff"}, {"a": "z"}]', 2, ("not_utf8",), ("damaged",)),
    Hostile("mark.json", b"\xef\xbb\xbf" + json.dumps([row()]).encode(), 1, (), ("bom",)),
    Hostile("utf16.json", json.dumps([row()]).encode().decode().encode("utf-16"), 1, (), ("utf16",)),
    Hostile("only_a_number.json", b"12", 0, NOT_JSON),
    Hostile("only_open.json", b"{", 0, BROKEN),
    Hostile("web_page.json", b"<!DOCTYPE html><html></html>", 0, NOT_JSON),
    Hostile(
        "long_element.json",
        repeated((b'[{"a": 1}, {"text": "', 1), (b'x\\"' * (MIB // 4), 100), (b'"}, {"a": 2}]', 1)),
        2,
        ("too_long_row",),
    ),
    Hostile("endless_blanks.json", repeated((b"[", 1), (b" " * MIB, 50), (b'{"a": 1}]', 1)), 1),
]

TABLES = [
    Hostile("empty.csv", b""),
    Hostile("header_only.csv", CSV),
    Hostile("plain.csv", CSV + b"a,b\n\nc,d\n", 2),
    Hostile("many_lines.csv", CSV + b'"a\nb\n\nc","d ""e"""\nf,g\n', 2),
    Hostile("stray_quotes.csv", CSV + b'a,b\nc,"d"e\nf,"g\nh,i\nj,k\n', 3, ("stray_quote",) * 2),
    Hostile("quote_inside.csv", CSV + b'5" pipe,b\n', 1),
    Hostile("open_quote.csv", CSV + b'"never closed,b\n' + b"c,d\n" * 30_000, 30_000, ("stray_quote",)),
    Hostile("wrong_fields.csv", CSV + b"a\na,b,c\nd,e\n", 1, ("wrong_fields",) * 2),
    Hostile("doubled_column.csv", b"a,a\n1,2\n", 0, ("bad_header",)),
    Hostile("unnamed_column.csv", b"a,,c\n1,2,3\n", 0, ("bad_header",)),
    Hostile("index_column.csv", b",prompt,completion\n0,a,b\n", 1, (), ("unnamed",)),
    Hostile("nul_byte.csv", CSV + b"a\x00,b\nc,d\n", 1, ("nul_byte",)),
    Hostile("not_utf8.csv", CSV + b"a,\xff\xff\nc,d\n", 1, ("not_utf8",), ("damaged",)),
    Hostile("cp1252.csv", CSV + "é,ü\n".encode("cp1252"), 1, (), ("cp1252",)),
    Hostile("semicolons.csv", b"prompt;completion\na,b;c\n", 1, (), ("separator",)),
    Hostile("crlf_and_mark.csv", b"\xef\xbb\xbfprompt,completion\r\na,b\r\n", 1, (), ("bom", "crlf")),
    Hostile("bad_messages.csv", b"messages,n\n[{'role': 5}],1\n[],2\n", 1, ("bad_cell",)),
    Hostile("long_cell.csv", CSV + b"a," + b"x" * MIB + b"\nc,d\n", 2),
    Hostile("longer_cell.csv", repeated((CSV + b"a,", 1), (b"x" * MIB, 40), (b"\nc,d\n", 1)), 1, ("too_long_row",)),
    Hostile("tabs.tsv", b"prompt\tcompletion\na, b\tc\n", 1),
    Hostile("no_text.parquet", b"", 0, BROKEN),
    Hostile("not_parquet.parquet", b"PAR1 and nothing else", 0, BROKEN),
    Hostile("plain.parquet", table(("text", ["a", None, "c"])), 3),
    Hostile("truncated.parquet", table(("text", ["a" * 1000] * 1000))[:-100], 0, BROKEN),
    Hostile("page_damaged.parquet", damaged_page, 0, BROKEN),
    Hostile("bad_text.parquet", bad_text_file, 2, ("not_utf8",)),
    Hostile("doubled_column.parquet", table(("a", [1]), ("a", [2])), 0, ("bad_header",)),
    Hostile("one_text_in_every_row.parquet", table(("text", ["x" * 2 * MIB] * 64), compression="zstd"), 64),
    Hostile("long_cell.parquet", table(("text", ["a", "x" * 33 * MIB, "c"])), 2, ("too_long_row",)),
    Hostile("mixed_columns.parquet", table(("a", [1, None]), ("b", [b"\xff", None]), ("c", [[{"d": None}], []])), 2),
]

TEXTS = [
    Hostile("empty.txt", b""),
    Hostile("only_line_ends.txt", b"\n" * 100_000),
    Hostile("short.txt", b"One.\n\nTwo.\n", 1),
    Hostile("long_line.txt", repeated((b"a", 1), ("é".encode() * (MIB // 2), 20)), 1281),
    Hostile("nul_bytes.txt", b"text\x00text", 0, ("nul_byte",)),
    Hostile("not_utf8.txt", b"a" * 16_000 + b"\n\n\xff\xff\xff\n\n" + b"b" * 16_384, 1, ("not_utf8",), ("damaged",)),
    Hostile("cp1252.txt", "Voilà, ça marche".encode("cp1252"), 1, (), ("cp1252",)),
]

FILES = LINES + PACKED + OBJECTS + TABLES + TEXTS
