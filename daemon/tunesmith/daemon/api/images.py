"""Images that go with a question: what may be sent, in one place for who attaches, bounds or decodes them."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunesmith.daemon.api import whole_files
from tunesmith.recipes.data.parsing.media import BROKEN_IMAGE
from tunesmith.recipes.errors import DataError, ModelError
from tunesmith.recipes.units import bytes_text

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES = 4  # of a request; a chat sends those of earlier questions again
URL_BYTES = 3_000_000  # of one as its data: URL; of all in a chat, so that its text keeps the megabyte it always has
REQUEST_BYTES = 4_000_000  # of a request with images
PIXELS = 25_000_000  # 75 MB as they are looked at
KINDS = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp"}  # Pillow's names, and those in a data: URL
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FILE_BYTES = (URL_BYTES - len("data:image/jpeg;base64,")) // 4 * 3  # base64 makes four of three
SMALLER_HINT = "Save it smaller: models look at about 1,000 pixels a side."
FEWER_HINT = "Take one back, or begin a new chat."


class Attached(msgspec.Struct, frozen=True):
    """An image of a question; upright it is `width` by `height` pixels."""

    name: str
    width: int
    height: int
    url: str


def read(path: Path) -> Attached:
    """The image in that file, looked at whole, so that no model is loaded for one that it cannot look at.

    Raises DataError (codes image_missing, image_unknown, image_too_large).
    """
    try:
        data = whole_files.beginning(path, FILE_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"The image {path} cannot be read: {why}", "Look at its path.", "image_missing") from error
    if len(data) > FILE_BYTES:
        raise DataError(f"{path} is larger than {bytes_text(FILE_BYTES)}", SMALLER_HINT, "image_too_large")
    kind, image = decoded(data, str(path))
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return Attached(path.name, image.width, image.height, url)


def decoded(data: bytes, name: str = "An image of the request") -> tuple[str, Image]:
    """Its kind, and itself upright in red, green and blue. No pixel is read of one that says it has too many.

    Raises DataError (codes image_unknown, image_too_large).
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs, for which the bound here is the lower one, and of odd metadata
            with Image.open(io.BytesIO(data), formats=tuple(KINDS)) as opened:
                if not 0 < opened.width * opened.height <= PIXELS:
                    raise too_many_pixels(name)
                return KINDS[opened.format or ""], ImageOps.exif_transpose(opened).convert("RGB")
    except Image.DecompressionBombError as error:
        raise too_many_pixels(name) from error
    except BROKEN_IMAGE as error:
        raise DataError(
            f"{name} cannot be read as an image", "Save it as PNG, JPEG or WebP.", "image_unknown"
        ) from error


def too_many_pixels(name: str) -> DataError:
    return DataError(f"{name} has more than {PIXELS:,} pixels", SMALLER_HINT, "image_too_large")


def refuse_too_many(urls: Sequence[str]) -> None:
    """Of a chat, with those of its earlier questions. Raises DataError (code too_many_images)."""
    if len(urls) > IMAGES:
        raise DataError(f"A chat takes {IMAGES} images in all", FEWER_HINT, "too_many_images")
    if sum(map(len, urls)) > URL_BYTES:
        most = bytes_text(FILE_BYTES)
        raise DataError(f"The images of a chat are larger than {most} together", FEWER_HINT, "too_many_images")


def unsupported(job_id: int) -> ModelError:
    return ModelError(
        f"The model of run {job_id} reads text alone",
        f"A vision model takes images once this was done: tunesmith export {job_id} --to gguf:q8_0,gguf-mmproj",
        "media_unsupported",
    )
