"""The one place that checks the messages of a conversation: roles, content, order, loss, tool calls and reasoning.

Read as equal: `reasoning`, `thinking` and `reasoning_content`; the role `developer` and `system`; `weight` 0 or 1 (of
OpenAI's fine-tuning files) and `loss`; content as text and as a list of parts. A field that is null is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import tool_calls
from tunesmith.recipes.data.parsing.message_parts import joined
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import Media, Message

ROLES = ("system", "user", "assistant", "tool")
SAME_ROLES = {"developer": "system"}
REASONING = ("reasoning_content", "reasoning", "thinking")


def checked(found: object, media: list[Media] | None = None) -> list[Message]:
    """The messages of `found`, each with what Message names; files in parts are appended to `media` in order.

    Raises BadRow. An assistant turn may be empty only when it calls tools; a system message stands only first.
    """
    if type(found) is not list or not found:
        raise BadRow("no_messages")
    messages: list[Message] = []
    for place, message in enumerate(found, 1):
        if type(message) is dict and len(message) == 2:  # only role and content: by far the most, so without detours
            role, content = message.get("role"), message.get("content")
            if type(content) is str and (
                role == "user"
                or (role == "assistant" and content and not content.isspace())
                or (role == "system" and place == 1)
            ):
                encodable(content, place)
                messages.append(message)
                continue
        messages.append(one(message, place, media))
    return messages


def one(message: object, place: int, media: list[Media] | None) -> Message:
    """A checked message; `place` counts from 1. Raises BadRow."""
    if not isinstance(message, dict):
        raise BadRow("no_object", place=place)
    role = message.get("role")
    role = SAME_ROLES.get(role, role) if isinstance(role, str) else role
    if role not in ROLES:
        raise BadRow("bad_role", place=place, role=short(role), roles=", ".join(ROLES))
    if role == "system" and place > 1:
        raise BadRow("late_system", place=place)
    calls = message.get("tool_calls")
    content = message.get("content")
    if isinstance(content, list):
        content = joined(content, place, media)
    if content is None and role == "assistant" and calls:
        content = ""
    if not isinstance(content, str) or (role == "assistant" and not content.strip() and not calls):
        raise BadRow("no_content", place=place, role=role)
    checked_message: Message = {"role": role, "content": encodable(content, place)}
    reasoning = reasoning_of(message, place)
    if reasoning:
        checked_message["reasoning_content"] = reasoning
    if calls:
        if role != "assistant":
            raise BadRow("bad_tool_calls", place=place, why=f"only the assistant calls tools, this is {role}")
        checked_message["tool_calls"] = tool_calls.calls(calls, place)
    for field in ("name", "tool_call_id"):
        value = message.get(field)
        if value is not None:
            checked_message[field] = text_field(value, field, place)
    if not trains(message, place):
        checked_message["loss"] = False
    return checked_message


def trains(message: Mapping[str, Any], place: int) -> bool:
    """Raises BadRow unless `loss` and `weight` are missing or say yes or no."""
    loss, weight = message.get("loss"), message.get("weight")
    if loss is not None and not isinstance(loss, bool):
        raise BadRow("bad_loss", place=place)
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        raise BadRow("bad_weight", place=place, weight=short(weight))
    return loss is not False and weight != 0


def reasoning_of(message: Mapping[str, Any], place: int) -> str:
    """Raises BadRow when it is not text or stands under two names."""
    given = [field for field in REASONING if message.get(field) is not None]
    if not given:
        return ""
    if len(given) > 1 and len({str(message[field]) for field in given}) > 1:
        raise BadRow("bad_field", place=place, field=given[1], kind=f"it differs from {given[0]}")
    return text_field(message[given[0]], given[0], place)


def text_field(value: object, field: str, place: int) -> str:
    """Raises BadRow."""
    if not isinstance(value, str):
        raise BadRow("bad_field", place=place, field=field, kind=short(value))
    return encodable(value, place)


def encodable(text: str, place: int) -> str:
    """`text`; JSON can hold half a surrogate pair, which no tokenizer can read. Raises BadRow."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadRow("surrogate", place=place) from error
    return text


def learns(messages: list[Message]) -> bool:
    """Whether some assistant turn has a loss."""
    # From the end: mostly the last says it.
    return any(message["role"] == "assistant" and message.get("loss", True) for message in reversed(messages))


def untrained(messages: list[Message]) -> list[Message]:
    """The same messages with no loss on any assistant turn."""
    return [message | {"loss": False} if message["role"] == "assistant" else message for message in messages]


def last_learned(messages: list[Message]) -> list[Message]:
    """The same messages with a loss on the last turn only. Raises BadRow when it has none."""
    if not learns(messages[-1:]):
        raise BadRow("no_assistant")
    return [*untrained(messages[:-1]), messages[-1]]
