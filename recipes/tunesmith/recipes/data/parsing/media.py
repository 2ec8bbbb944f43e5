"""Whether the pictures, sounds and films of rows are there and can be decoded, and how large or long they are.

Nothing is fetched: a URL is left unchecked. Work on one file is bounded by the limits below, whatever its header says.
"""

from __future__ import annotations

import base64
import binascii
import io
import stat
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import msgspec

from tunesmith.recipes.data.parsing import containers
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import Media

PIXELS_LIMIT = 64_000_000  # 8000 x 8000, 192 MB decoded; Pillow itself warns of bombs from 89 million
IMAGE_BYTES_LIMIT = 128 * 2**20  # no picture of 64 million pixels is larger in a format that people use
INLINE_LIMIT = 32 * 2**20  # characters of a data: URI, as long as a row may be
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # no format that runs a program or fetches something
MEGABYTE = 2**20
SHOWN = 80  # characters of a path in a reason
# What Pillow raises for bytes that are not the picture they say they are.
BROKEN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


class MediaFacts(msgspec.Struct, frozen=True):
    """`format` as png, wav, mp4; 0 for what is not known or does not apply. A URL has `checked` False and no facts."""

    kind: str
    format: str = ""
    bytes: int = 0
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    checked: bool = True

    @property
    def pixels(self) -> int:
        return self.width * self.height


def check(media: Media, folder: Path) -> MediaFacts:
    """What is known of a file of a row; `folder` is that of the data file, to which paths are relative.

    Raises BadRow when the file is missing, of another kind, too large or not decodable.
    """
    source = media.source
    if source.startswith("data:"):
        inline = decoded(source)
        return measured(io.BytesIO(inline), len(inline), media.kind, short(source, SHOWN))
    scheme = urlsplit_scheme(source)
    if scheme and scheme != "file":
        return MediaFacts(media.kind, checked=False)
    path = folder / (unquote(urlsplit(source).path) if scheme else source)
    shown = source if len(source) <= SHOWN else f"…{source[-SHOWN:]}"
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or device could be read for ever
            raise BadRow("media_unreadable", source=shown, error="it is no regular file")
        with path.open("rb") as stream:
            return measured(stream, found.st_size, media.kind, shown)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadRow("media_missing", source=shown) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name, or a BadRow on its way
        if isinstance(error, BadRow):
            raise
        raise BadRow("media_unreadable", source=shown, error=getattr(error, "strerror", None) or error) from error


def urlsplit_scheme(source: str) -> str:
    """The scheme of a URL, empty for a path; a drive letter is no scheme."""
    scheme, separator, _ = source.partition("://")
    return scheme.lower() if separator and len(scheme) > 1 and scheme.replace("+", "").isalnum() else ""


def decoded(source: str) -> bytes:
    """The bytes of a data: URI. Raises BadRow."""
    shown = short(source, SHOWN)
    if len(source) > INLINE_LIMIT:
        raise BadRow("media_too_large", source=shown, limit=f"{INLINE_LIMIT // MEGABYTE} MB")
    header, comma, body = source.partition(",")
    if not comma:
        raise BadRow("media_broken", source=shown, error="a data: URI without a comma")
    if not header.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRow("media_broken", source=shown, error=error) from error


def measured(stream: BinaryIO, size: int, kind: str, shown: str) -> MediaFacts:
    """The facts of an open file of `size` bytes. Raises BadRow."""
    head = stream.read(containers.HEAD)
    known = containers.kind_of(head)
    if known is None:
        raise BadRow("media_kind", source=shown, kind=kind, found="empty" if not head else "of no known format")
    if known[0] != kind:
        raise BadRow("media_kind", source=shown, kind=kind, found=f"it is {known[1]}")
    stream.seek(0)
    if kind == "image":
        return image(stream, size, known[1], shown)
    try:
        seconds, width, height = containers.measured(stream, size, known[1])
    except (ValueError, struct.error) as error:
        raise BadRow("media_broken", source=shown, error=error) from error
    return MediaFacts(kind, known[1], size, width, height, seconds)


def image(stream: BinaryIO, size: int, name: str, shown: str) -> MediaFacts:
    """Decodes the picture, a JPEG at an eighth of its size: enough to see that it is whole. Raises BadRow."""
    from PIL import Image

    if size > IMAGE_BYTES_LIMIT:
        raise BadRow("media_too_large", source=shown, limit=f"{IMAGE_BYTES_LIMIT // MEGABYTE} MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is in the limit here
            with Image.open(stream, formats=IMAGE_FORMATS) as opened:
                width, height = opened.size
                if width * height > PIXELS_LIMIT:
                    raise too_many_pixels(shown)
                opened.draft("RGB", (max(1, width // 8), max(1, height // 8)))
                opened.load()
    except Image.DecompressionBombError as error:
        raise too_many_pixels(shown) from error
    except BadRow:
        raise
    except BROKEN_IMAGE as error:
        raise BadRow("media_broken", source=shown, error=plain(error)) from error
    return MediaFacts("image", name, size, width, height)


def too_many_pixels(shown: str) -> BadRow:
    return BadRow("media_too_large", source=shown, limit=f"{PIXELS_LIMIT // 1_000_000} million pixels")


def plain(error: Any) -> str:
    """The error without the address of the object that Pillow could not read."""
    text = str(error)
    return "no picture can be read from it" if "BytesIO object" in text or "BufferedReader" in text else text
