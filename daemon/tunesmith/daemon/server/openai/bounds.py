"""What the types of the fields cannot say: sizes of schemas, media that is no data: URL, fields that exclude others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from tunesmith.daemon.api.images import IMAGES, KINDS, URL_BYTES
from tunesmith.daemon.api.tools import LARGE_SCHEMA, Tool, is_large
from tunesmith.daemon.server.openai.asked import (
    INPUTS,
    Content,
    ImagePart,
    NamedTool,
    TextPart,
)
from tunesmith.daemon.server.openai.errors import WrongField

LARGEST_TOKEN = 2**31 - 1
PICTURE_URL = re.compile(rf"data:image/(?:{'|'.join(KINDS.values())});base64,")
PICTURE_PART = {"type": "picture"}  # where one of `pictures` stands


def content_of(
    content: Content | None, place: int, pictures: list[str], sees: bool
) -> str | list[dict[str, str]] | None:
    """A message's text, parts one after another; with pictures, which are added to `pictures`, its parts.

    Raises WrongField for media that are no data: URL or too many, and for all where the model reads text alone.
    """
    if content is None or isinstance(content, str):
        return content
    parts: list[dict[str, str]] = []
    for part in content:
        match part:
            case TextPart(text=text):
                parts.append({"type": "text", "text": text})
            case ImagePart(image_url=image):
                pictures.append(picture_of(image.url, f"messages[{place}].content", sees))
                parts.append(PICTURE_PART)
    if len(pictures) > IMAGES:
        raise WrongField("messages", f"There are more than {IMAGES} images", "Send fewer.", "media")
    if PICTURE_PART in parts:
        return parts
    return "".join(part["text"] for part in parts)


def picture_of(url: str, field: str, sees: bool) -> str:
    """Its bytes in base64, which nobody looks at in this process. Raises WrongField."""
    if not url.startswith("data:"):
        raise WrongField(field, "Images are taken as data: URLs only", "Nothing is fetched.", "media_url")
    if not sees:
        raise WrongField(field, "This model reads text alone", "Send no images.", "media_unsupported")
    if len(url) > URL_BYTES:
        raise WrongField(field, f"An image is larger than {URL_BYTES:,} bytes", "Send a smaller one.", "media")
    if (begun := PICTURE_URL.match(url)) is None:
        known = "Send a PNG, JPEG or WebP in base64: data:image/png;base64,..."
        raise WrongField(field, "An image is none that is known here", known, "media")
    return url[begun.end() :]


def refuse_large_schema(schema: dict[str, Any], field: str) -> None:
    if is_large(schema):
        raise WrongField(field, LARGE_SCHEMA, "Send a smaller one.", "schema")


def tools_of(tools: Sequence[Tool]) -> tuple[dict[str, Any], ...]:
    """As chat templates take them, without what nobody gave. Raises WrongField for a schema that is too large."""
    for place, tool in enumerate(tools):
        refuse_large_schema(tool.function.parameters or {}, f"tools[{place}].function.parameters")
    return tuple(msgspec.to_builtins(tool) for tool in tools)


def refuse_unknown_tool(choice: str, tools: Sequence[Tool] | None) -> None:
    names = [tool.function.name for tool in tools or ()]
    if not names:
        raise WrongField("tool_choice", "A tool is to be called, and there are none", "Send tools.")
    if choice != "required" and choice not in names:
        raise WrongField("tool_choice", f"There is no tool '{choice[:64]}'", f"Known: {', '.join(names[:10])}.")


def choice_of(choice: str | NamedTool | None) -> str:
    """auto, none, required, or a tool's name."""
    return choice.function.name if isinstance(choice, NamedTool) else choice or "auto"


def inputs(value: Any, field: str) -> list[str | tuple[int, ...]]:
    """A text, a list of texts, the tokens of a text, or a list of such. Raises WrongField."""
    match value:
        case str():
            found: list[str | tuple[int, ...]] = [value]
        case [int(), *_]:
            found = [tuple(value)]
        case [str(), *_] | [list(), *_]:
            found = [tuple(one) if isinstance(one, list) else one for one in value]
        case _:
            raise WrongField(field, f"{field} is no text and no list of texts or tokens", "Send a text.")
    if len(found) > INPUTS:
        raise WrongField(field, f"{field} holds more than {INPUTS} texts", "Send them in several requests.")
    for one in found:
        if isinstance(one, str) and one:
            continue
        whole = isinstance(one, tuple) and one
        if not whole or not all(type(token) is int and 0 <= token <= LARGEST_TOKEN for token in one):
            raise WrongField(field, f"{field} holds something else than filled texts or tokens", "Send texts.")
    return found
