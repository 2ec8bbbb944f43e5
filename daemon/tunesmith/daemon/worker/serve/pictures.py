"""Pictures that came with a request, decoded: of formats that are known here, and never more pixels than allowed."""

from __future__ import annotations

import base64

from tunesmith.daemon.api import images
from tunesmith.daemon.worker.engines import Picture
from tunesmith.recipes.errors import DataError, ModelError

HINT = "Send a PNG, JPEG or WebP in base64."


def decoded(data: str) -> Picture:
    """The picture whose file is `data` in base64. Raises ModelError."""
    try:
        _, image = images.decoded(base64.b64decode(data, validate=True))
    except ValueError as error:
        raise ModelError("An image is not in base64", HINT, "media") from error
    except DataError as error:
        hint = HINT if error.code == "image_unknown" else error.hint
        raise ModelError(error.message, hint, "media") from error
    return Picture(image.width, image.height, image.tobytes())
