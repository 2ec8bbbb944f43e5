"""Pictures that came with a request, decoded: of formats that are known here, and never more pixels than allowed."""

from __future__ import annotations

import base64
import warnings
from io import BytesIO

from tunesmith.daemon.worker.engines import Picture
from tunesmith.recipes.errors import ModelError

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 25_000_000  # 75 MB as they are looked at
HINT = "Send a PNG, JPEG or WebP in base64."


def decoded(data: str) -> Picture:
    """The picture whose file is `data` in base64. Raises ModelError."""
    from PIL import Image, ImageOps

    try:
        file = BytesIO(base64.b64decode(data, validate=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound below is the lower one
            with Image.open(file, formats=FORMATS) as opened:
                refuse_large(opened.width, opened.height)
                image = ImageOps.exif_transpose(opened).convert("RGB")
    except Image.DecompressionBombError as error:
        raise too_large() from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what PIL's readers raise
        raise ModelError("An image cannot be read", HINT, "media") from error
    return Picture(image.width, image.height, image.tobytes())


def refuse_large(width: int, height: int) -> None:
    """By what a file says of itself, before any pixel is read."""
    if not 0 < width * height <= MOST_PIXELS:
        raise too_large()


def too_large() -> ModelError:
    return ModelError(f"An image has more than {MOST_PIXELS:,} pixels", "Send a smaller one.", "media")
