"""The format of a media file by its first bytes, and seconds and pixels from the headers of sounds and films."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

HEAD = 32  # bytes that tell every format below
BOXES_LIMIT = 10_000  # boxes or chunks looked at in a file
WEBM_HEAD = 2**20  # bytes in which a webm file says its length and size
# first bytes, bytes from the ninth on, kind, format
MAGIC = (
    (b"\x89PNG\r\n\x1a\n", b"", "image", "png"),
    (b"\xff\xd8\xff", b"", "image", "jpeg"),
    (b"GIF87a", b"", "image", "gif"),
    (b"GIF89a", b"", "image", "gif"),
    (b"RIFF", b"WEBP", "image", "webp"),
    (b"BM", b"", "image", "bmp"),
    (b"II*\0", b"", "image", "tiff"),
    (b"MM\0*", b"", "image", "tiff"),
    (b"RIFF", b"WAVE", "audio", "wav"),
    (b"fLaC", b"", "audio", "flac"),
    (b"OggS", b"", "audio", "ogg"),
    (b"ID3", b"", "audio", "mp3"),
    (b"RIFF", b"AVI ", "video", "avi"),
    (b"\x1a\x45\xdf\xa3", b"", "video", "webm"),
)
# EBML ids: those that hold others, and the four that are read
MASTERS = {0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0}
TIME_SCALE, DURATION, WIDTH, HEIGHT = 0x2AD7B1, 0x4489, 0xB0, 0xBA

Measures = tuple[float, int, int]  # seconds, width, height; 0 where not told


def kind_of(head: bytes) -> tuple[str, str] | None:
    """Kind and format of a file that begins with `head`; None when it is no known one."""
    for first, second, kind, name in MAGIC:
        if head.startswith(first) and head[8:].startswith(second):
            return kind, name
    if head[4:8] == b"ftyp":
        return ("audio", "m4a") if head[8:11] in (b"M4A", b"M4B") else ("video", "mp4")
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # MPEG audio, layer III
        return "audio", "mp3"
    return None


def measured(stream: BinaryIO, size: int, name: str) -> Measures:
    """Raises ValueError or struct.error when the headers contradict the file of `size` bytes."""
    if name == "wav":
        return wav(stream, size)
    if name == "flac":
        return flac(stream)
    if name in ("mp4", "m4a"):
        return mp4(stream, size)
    if name == "webm":
        return webm(stream.read(WEBM_HEAD))
    return 0.0, 0, 0


def wav(stream: BinaryIO, size: int) -> Measures:
    """Raises ValueError."""
    place, rate = 12, 0
    for _ in range(BOXES_LIMIT):
        stream.seek(place)
        header = stream.read(8)
        if len(header) < 8:
            break
        name, length = struct.unpack("<4sI", header)
        if name == b"fmt ":
            rate = struct.unpack("<8xI", stream.read(12))[0]
        if name == b"data":
            if not rate:
                raise ValueError("no format before the sound")
            if place + 8 + length > size and length != 0xFFFFFFFF:  # that length: written while streaming
                raise ValueError("the file breaks off")
            return min(length, size - place - 8) / rate, 0, 0
        place += 8 + length + length % 2
    raise ValueError("no sound in it")


def flac(stream: BinaryIO) -> Measures:
    """Raises ValueError."""
    head = stream.read(26)
    if len(head) < 26 or head[4] & 0x7F != 0:
        raise ValueError("no stream information")
    numbers = int.from_bytes(head[18:26], "big")
    rate, samples = numbers >> 44, numbers & (2**36 - 1)
    if not rate:
        raise ValueError("a sample rate of 0")
    return samples / rate, 0, 0


def boxes(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each box between two places. Raises ValueError."""
    for _ in range(BOXES_LIMIT):
        if start + 8 > end:
            return
        stream.seek(start)
        length, name = struct.unpack(">I4s", stream.read(8))
        inside = start + 8
        if length == 1:
            length = struct.unpack(">Q", stream.read(8))[0]
            inside += 8
        elif length == 0:  # up to the end of the file
            length = end - start
        if length < inside - start or start + length > end:
            raise ValueError("the file breaks off" if length >= 8 else "a box of no length")
        yield name, inside, start + length
        start += length


def mp4(stream: BinaryIO, size: int) -> Measures:
    """Raises ValueError."""
    seconds, width, height, known = 0.0, 0, 0, False
    for name, start, end in boxes(stream, 0, size):
        if name != b"moov":
            continue
        known = True
        for inner, inside, until in boxes(stream, start, end):
            stream.seek(inside)
            if inner == b"mvhd":
                long = stream.read(4)[0] == 1
                stream.seek(inside + (20 if long else 12))
                scale, duration = struct.unpack(">IQ" if long else ">II", stream.read(12 if long else 8))
                seconds = duration / scale if scale else 0.0
            elif inner == b"trak":
                for track, place, _ in boxes(stream, inside, until):
                    if track == b"tkhd":
                        stream.seek(place)
                        long = stream.read(4)[0] == 1
                        stream.seek(place + (88 if long else 76))
                        across, down = (number >> 16 for number in struct.unpack(">II", stream.read(8)))
                        width, height = max(width, across), max(height, down)
    if not known:
        raise ValueError("no description of a film in it")
    return seconds, width, height


def webm(head: bytes) -> Measures:
    """Raises ValueError."""
    found: dict[int, float] = {TIME_SCALE: 1_000_000}  # nanoseconds, the default of the format
    place = 0
    for _ in range(BOXES_LIMIT):
        if place >= len(head):
            break
        name, place = number(head, place, marked=True)
        length, place = number(head, place)
        if name in MASTERS:
            continue  # step into it
        value = head[place : place + length]
        if name in (TIME_SCALE, WIDTH, HEIGHT):
            found[name] = int.from_bytes(value, "big")
        elif name == DURATION and len(value) in (4, 8):
            found[name] = struct.unpack(">f" if len(value) == 4 else ">d", value)[0]
        place += length
    seconds = found.get(DURATION, 0.0) * found[TIME_SCALE] / 1e9
    return seconds, int(found.get(WIDTH, 0)), int(found.get(HEIGHT, 0))


def number(head: bytes, place: int, marked: bool = False) -> tuple[int, int]:
    """An EBML number and the place after it; an id keeps its length mark. Raises ValueError."""
    if place >= len(head) or head[place] == 0:
        raise ValueError("the file breaks off")
    length = 9 - head[place].bit_length()
    if place + length > len(head):
        raise ValueError("the file breaks off")
    value = int.from_bytes(head[place : place + length], "big")
    return (value if marked else value & ((1 << 7 * length) - 1)), place + length
