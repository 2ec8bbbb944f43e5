"""Content as a list of parts (text, image_url, input_audio, ...) becomes one text with tags, and its files."""

from __future__ import annotations

from typing import Any

from tunesmith.recipes.data.parsing.media_tags import TAGS, source_of
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import Media

TEXTS = ("text", "input_text", "output_text")
# type of a part -> kind of media
KINDS = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "audio_url": "audio",
    "input_audio": "audio",
    "video": "video",
    "video_url": "video",
}
SOURCES = ("url", "path", "source")  # where a part without a field of its type's name keeps its file


def joined(parts: list[Any], place: int, media: list[Media] | None) -> str:
    """Texts in order with nothing between them, a tag for each file; files are appended to `media`.

    A part such as {"type": "image"} that names no file takes its file from the row's media column. Raises BadRow.
    """
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
            continue
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in TEXTS and isinstance(part.get("text"), str):
            pieces.append(part["text"])
        elif isinstance(kind, str) and kind in KINDS:
            pieces.append(TAGS[KINDS[kind]])
            source = file_of(part, kind, place)
            if source is not None and media is not None:
                media.append(Media(KINDS[kind], source))
        else:
            raise BadRow("bad_part", place=place, why=short(part, 48))
    return "".join(pieces)


def file_of(part: dict[str, Any], kind: str, place: int) -> str | None:
    """The path, URL or data: URI of a part; None when it names no file. Raises BadRow."""
    for field in (kind, KINDS[kind], f"{KINDS[kind]}_url", *SOURCES):
        found = part.get(field)
        if found is None:
            continue
        if kind == "input_audio" and isinstance(found, dict) and isinstance(found.get("data"), str):
            return f"data:audio/{found.get('format') or 'wav'};base64,{found['data']}"
        source = source_of(found, KINDS[kind])
        if source is None:
            raise BadRow("bad_part", place=place, why=short(part, 48))
        return source
    return None
