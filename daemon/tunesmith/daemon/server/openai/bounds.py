"""What the types of the fields cannot say: sizes of schemas, media that is no data: URL, fields that exclude others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tunesmith.daemon.server.guard import deeper_than
from tunesmith.daemon.server.openai.asked import (
    INPUTS,
    SCHEMA_BYTES,
    SCHEMA_DEPTH,
    ImagePart,
    Message,
    NamedTool,
    TextPart,
    Tool,
)
from tunesmith.daemon.server.openai.errors import WrongField

LARGEST_TOKEN = 2**31 - 1


def text_of(message: Message, place: int) -> str | None:
    """Its text; parts one after another. Raises WrongField for media: the models that we serve read text."""
    if message.content is None or isinstance(message.content, str):
        return message.content
    texts = []
    for part in message.content:
        match part:
            case TextPart(text=text):
                texts.append(text)
            case ImagePart(image_url=image):
                field = f"messages[{place}].content"
                if not image.url.startswith("data:"):
                    raise WrongField(field, "Images are taken as data: URLs only", "Nothing is fetched.", "media_url")
                raise WrongField(field, "This model reads text alone", "Send no images.", "media_unsupported")
    return "".join(texts)


def refuse_large_schema(schema: dict[str, Any], field: str) -> None:
    encoded = msgspec.json.encode(schema)
    if len(encoded) > SCHEMA_BYTES or deeper_than(encoded, SCHEMA_DEPTH):
        text = f"A schema is larger than {SCHEMA_BYTES} bytes or nested more than {SCHEMA_DEPTH} deep"
        raise WrongField(field, text, "Send a smaller one.", "schema")


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
