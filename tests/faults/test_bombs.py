"""F5: bombs. Little that unpacks to much: bounded memory, an error with a next step, and nothing left behind."""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesmith.recipes import spec, yaml_text
from tunesmith.recipes.data.files import sources
from tunesmith.recipes.data.parsing import media
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Media
from tunesmith.recipes.errors import DataError, RecipeError

MIB = 2**20
LARGEST_PEAK = 450 * MIB  # Python, numpy and pyarrow take some 150; a row may take 32 and is held a few times
ROW = b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n'

CHECK_AND_TELL_PEAK = """
import json, os, sys
from pathlib import Path
from tunesmith.recipes.data.checking.check import Options, check
from tunesmith.recipes.errors import TunesmithError
if __name__ == "__main__":
    try:
        *_, report = check(Options(files=(sys.argv[1],), rejected=sys.argv[2], processes=1))
        told = {"read": report.rows_read, "kept": report.rows_kept, "codes": [row.code for row in report.rejected]}
    except TunesmithError as error:
        told = {"error": error.message, "hint": error.hint}
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps(told | {"peak": peak * 1024}))
"""


def repeated(*parts: tuple[bytes, int]) -> Callable[[Path], None]:
    """Writes each part so often, without holding the file."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            for part, times in parts:
                for _ in range(times):
                    file.write(part)

    return write


def gzip_member(content: bytes) -> bytes:
    return gzip.compress(content, 9)


def nested_gzip(path: Path) -> None:
    path.write_bytes(gzip_member(gzip_member(gzip_member(bytes(64 * MIB)))))


def zstd(content: bytes) -> bytes:
    import pyarrow

    return bytes(pyarrow.compress(content, codec="zstd", asbytes=True))


def slipping_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../../../../slipped.jsonl", "/slipped.jsonl", "a/../../slipped.jsonl", "C:\\slipped.jsonl"):
            archive.writestr(name, ROW)


def zip_of_many(path: Path) -> None:
    """The entries of a hundred thousand files, written by hand: zipfile takes half a minute."""
    with path.open("wb") as file:
        for number in range(100_000):
            name = b"%06d.jsonl" % number
            file.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name)


def lying_parquet(path: Path) -> None:
    """A table that says it has 2^40 rows."""
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"] * 300}), file, compression="none")
    content = file.getvalue()
    # Thrift's compact form of 300 is a zigzag varint; another of the same length says nearly 2^20.
    path.write_bytes(content.replace(b"\xd8\x04", b"\xfe\x7f"))


def one_text_a_million_times(path: Path) -> None:
    """A dictionary of one long text and a million references to it: 300 GB in 300 kB."""
    import pyarrow
    import pyarrow.parquet

    indices = pyarrow.array([0] * 1_000_000, pyarrow.int32())
    column = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(["x" * 300_000]))
    pyarrow.parquet.write_table(pyarrow.table({"text": column}).slice(0, 2000), path, compression="zstd")


BOMBS: dict[str, Callable[[Path], None]] = {
    "gzip.jsonl.gz": repeated((gzip_member(ROW), 1), (gzip_member(b" " * 64 * MIB), 200)),
    "gzip_row.jsonl.gz": repeated((gzip_member(b'{"text": "'), 1), (gzip_member(b"x" * 64 * MIB), 200)),
    "nested.jsonl.gz": nested_gzip,
    "zstd.jsonl.zst": repeated((zstd(ROW), 1), (zstd(b" " * 64 * MIB), 64)),
    "text_of_a_gigabyte.json": repeated((b'[{"text": "', 1), (b"x" * MIB, 1024), (b'"}]', 1)),
    "line_without_end.jsonl": repeated((b'{"text": "', 1), (b"x" * MIB, 500)),
    "deep.json": repeated((b"[{" + b'"a":[{' * 10, 1), (b'"a":[{' * MIB, 5)),
    "deep.jsonl": repeated((b'{"a":' * 100_000, 1), (b"\n" + ROW, 1)),
    "many_keys.jsonl": repeated((b"{", 1), (b",".join(b'"k%d":1' % n for n in range(300_000)), 1), (b"}\n" + ROW, 1)),
    "doubled_key.jsonl": repeated(
        (b"{", 1), (b",".join(b'"k%d":1' % n for n in range(300_000)), 1), (b',"k299999":2}\n' + ROW, 1)
    ),
    "wide.csv": repeated((b"a," * 2_000_000 + b"b\n", 1), (b"1,2\n", 10)),
    "cell_of_a_gigabyte.csv": repeated((b"prompt,completion\na,", 1), (b"x" * MIB, 1024), (b"\nc,d\n", 1)),
    "open_quote.csv": repeated((b'prompt,completion\n"', 1), (b"never,closed\n" * 10_000, 4)),
    "dictionary.parquet": one_text_a_million_times,
    "lying.parquet": lying_parquet,
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_its_rows_and_little_memory(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    BOMBS[name](folder / name)
    command = [sys.executable, "-c", CHECK_AND_TELL_PEAK, str(folder / name), str(tmp_path / "rejected.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["peak"] < LARGEST_PEAK
    if "error" in told:
        assert told["hint"]
        assert not (tmp_path / "rejected.jsonl").exists()
    else:
        assert told["read"] == told["kept"] + len(told["codes"]) and (told["codes"] or told["kept"])
    assert {path.name for path in tmp_path.iterdir()} <= {"data", "rejected.jsonl"}
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("write", [slipping_zip, zip_of_many])
def test_an_archive_is_refused_and_never_unpacked(write: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "data.zip"
    write(path)
    with pytest.raises(DataError) as refused:
        sources.find([path])
    assert "archive" in refused.value.message and refused.value.hint
    assert [found.name for found in tmp_path.rglob("*")] == ["in", "data.zip"]
    assert not Path("/slipped.jsonl").exists()


def png(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    """A picture of one colour, its pixels as few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + b"".join(chunk(*one) for one in more)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def gif(frames: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    still = Image.new("P", (64, 64))
    others = [Image.new("P", (64, 64), number % 250) for number in range(1, frames)]
    still.save(file, "GIF", save_all=True, append_images=others)
    return file.getvalue()


def pictures() -> Iterator[tuple[str, bytes, str]]:
    yield "a quarter of a billion pixels", png(25_000, 10_000), "media_too_large"
    yield "a billion pixels in a line", png(60_000_000, 1), ""
    packed_text = zlib.compress(bytes(80 * MIB), 9)
    yield "a text that unpacks", png(8, 8, (b"zTXt", b"Comment\0\0" + packed_text)), "media_broken"
    yield "many frames", gif(500), ""


@pytest.mark.parametrize(("what", "content", "code"), pictures(), ids=lambda value: value if value is str else "")
def test_a_picture_is_measured_before_it_is_unpacked(what: str, content: bytes, code: str, tmp_path: Path) -> None:
    assert len(content) < 4 * MIB
    (tmp_path / "picture").write_bytes(content)
    try:
        assert media.check(Media("image", "picture"), tmp_path).pixels <= media.PIXELS_LIMIT
        refused = ""
    except BadRow as error:
        refused = error.code
    assert refused == code or (not code and refused.startswith("media_")), what


LAUGHS = "a: &a0 [x, x]\n" + "".join(f"b{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
RECIPES = {
    "billion laughs": LAUGHS,
    "billion laughs as the version": LAUGHS + "version: *a59\n",
    "quadratic": f"name: &n {'x' * 100_000}\ndata: [{', '.join(['*n'] * 10_000)}]",
    "itself": "data: &d\n  map: *d\n",
    "an object": "name: !!python/object/apply:os.system ['touch {canary}']\n",
    "a module": "name: !!python/name:os.system\n",
    "an unknown tag": "name: !evil x\n",
    "deep lists": "name: " + "[" * 5000 + "]" * 5000,
    "deep mappings": "".join("  " * n + "a:\n" for n in range(500)),
    "no such day": "name: 2024-99-99\n",
    "no such number": f"name: {'9' * 6000}\n",
    "huge": "# " + "x" * 2 * MIB,
    "a key that is a list": "? [a, b]\n: c\n",
    "binary": "name: !!binary '###'\n",
    "no characters": "\x00\x01\x02",
    "a merge": "a: &a {b: c}\nd:\n  <<: [*a, *a]\n",
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_stands_for_more_is_refused(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    text = RECIPES[name].replace("{canary}", str(canary))
    with pytest.raises(RecipeError) as refused:
        spec.parse(text, tmp_path)
    assert refused.value.hint and len(refused.value.message) < 2000
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError):
        spec.load(tmp_path / "recipe.yaml")
    assert not canary.exists()


def test_a_recipe_may_still_say_a_thing_once_and_mean_it_twice() -> None:
    assert yaml_text.decoded("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}
