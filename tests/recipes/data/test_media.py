"""Files of rows are there, of the right kind and decodable within limits, or the reason says what is wrong."""

from __future__ import annotations

import base64
import io
import os
import struct
import wave
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tunesmith.recipes.data.parsing import media
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Media


def picture(name: str, size: tuple[int, int] = (40, 30)) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(stream, name)
    return stream.getvalue()


def sound(seconds: float = 0.5) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(seconds * 8000) * 2))
    return stream.getvalue()


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def film(seconds: int = 3) -> bytes:
    header = box(b"mvhd", bytes(12) + struct.pack(">II", 1000, seconds * 1000) + bytes(80))
    track = box(b"trak", box(b"tkhd", bytes(76) + struct.pack(">II", 64 << 16, 48 << 16)))
    return box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", header + track) + box(b"mdat", bytes(100))


def webm() -> bytes:
    info = b"\x15\x49\xa9\x66" + b"\x8b" + b"\x44\x89\x88" + struct.pack(">d", 2500.0)
    video = b"\xe0\x86" + b"\xb0\x81\x40" + b"\xba\x81\x30"
    tracks = b"\x16\x54\xae\x6b\x8a" + b"\xae\x88" + video
    return b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + info + tracks


def flac() -> bytes:
    return b"fLaC\0\0\0\x22" + bytes(10) + ((8000 << 44) | 16000).to_bytes(8, "big") + bytes(16)


def png_that_claims(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 100) + b"IDAT" + bytes(100)


def code(kind: str, source: str, folder: Path) -> str:
    try:
        media.check(Media(kind, source), folder)
    except BadRow as error:
        return error.code
    return ""


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_pictures_have_pixels(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(picture(name))
    facts = media.check(Media("image", "a"), tmp_path)
    assert (facts.format, facts.width, facts.height, facts.pixels) == (name.lower(), 40, 30, 1200)


@pytest.mark.parametrize(
    ("kind", "content", "seconds", "width"),
    [
        ("audio", sound(), 0.5, 0),
        ("audio", flac(), 2.0, 0),
        ("audio", b"ID3\x04" + bytes(100), 0.0, 0),
        ("video", film(), 3.0, 64),
        ("video", webm(), 2.5, 64),
    ],
)
def test_sounds_and_films_have_seconds(kind: str, content: bytes, seconds: float, width: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    facts = media.check(Media(kind, "a"), tmp_path)
    assert (facts.seconds, facts.width, facts.bytes) == (seconds, width, len(content))


def test_paths_are_relative_to_the_folder_of_the_data_or_absolute(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    file = tmp_path / "pictures" / "a.png"
    file.write_bytes(picture("PNG"))
    assert code("image", "pictures/a.png", tmp_path) == ""
    assert code("image", str(file), Path("/elsewhere")) == ""
    assert code("image", file.as_uri(), Path("/elsewhere")) == ""


def test_a_url_is_not_fetched_and_says_so(tmp_path: Path) -> None:
    assert media.check(Media("image", "https://example.org/a.png"), tmp_path).checked is False


def test_inline_files_are_decoded(tmp_path: Path) -> None:
    body = base64.b64encode(picture("PNG")).decode()
    assert media.check(Media("image", f"data:image/png;base64,{body}"), tmp_path).width == 40
    assert code("image", f"data:image/png;base64,{body[:-5]}", tmp_path) == "media_broken"
    assert code("image", "data:image/png;base64,%%%", tmp_path) == "media_broken"
    assert code("image", "data:image/png;base64", tmp_path) == "media_broken"
    assert code("image", "data:,", tmp_path) == "media_kind"
    assert code("image", "data:image/png;base64," + "A" * (media.INLINE_LIMIT + 1), tmp_path) == "media_too_large"


def test_missing_files_and_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    assert code("image", "a.png", tmp_path) == "media_missing"
    assert code("image", "file/a.png", tmp_path) == "media_missing"
    assert code("image", ".", tmp_path) == "media_unreadable"
    assert code("image", "pipe", tmp_path) == "media_unreadable"
    assert code("image", "/dev/zero", tmp_path) == "media_unreadable"
    assert code("image", "a\0b", tmp_path) == "media_unreadable"
    assert code("image", "a" * 5000, tmp_path) == "media_unreadable"


def test_the_kind_is_told_by_the_content_not_the_name(tmp_path: Path) -> None:
    for name, content in (("page.png", b"<html>"), ("sound.png", sound()), ("empty.png", b"")):
        (tmp_path / name).write_bytes(content)
        assert code("image", name, tmp_path) == "media_kind"


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_picture_that_breaks_off_is_broken(name: str, tmp_path: Path) -> None:
    content = picture(name, (200, 200))
    (tmp_path / "a").write_bytes(content[: len(content) // 2])
    assert code("image", "a", tmp_path) == "media_broken"


@pytest.mark.parametrize(("kind", "content"), [("audio", sound()), ("video", film()), ("audio", flac()[:20])])
def test_a_sound_or_film_that_breaks_off_is_broken(kind: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content[:-10])
    assert code(kind, "a", tmp_path) == "media_broken"


@pytest.mark.parametrize("size", [(8001, 8000), (30_000, 30_000), (100_000, 1_000_000)])
def test_a_picture_that_claims_too_many_pixels_is_not_decoded(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_that_claims(*size))
    assert code("image", "a.png", tmp_path) == "media_too_large"


HEADS = st.sampled_from([picture("PNG"), picture("JPEG"), picture("GIF"), sound(), film(), webm(), flac()])


@given(HEADS, st.integers(0, 400), st.binary(max_size=60), st.sampled_from(["image", "audio", "video"]))
def test_damaged_files_are_refused_or_measured(whole: bytes, place: int, damage: bytes, kind: str) -> None:
    content = whole[:place] + damage + whole[place + len(damage) :]
    source = "data:;base64," + base64.b64encode(content).decode()
    assert code(kind, source, Path()).startswith("media_") or media.check(Media(kind, source), Path()).kind == kind
