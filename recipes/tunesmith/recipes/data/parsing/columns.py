"""How shapes take columns out of a row: aliases, texts, histories, labels, and the fields that every shape may have.

Every field has one name and some aliases; the name wins over its aliases, two aliases without it are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.recipes.data.parsing import conversation, media_tags, tool_calls
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import Media, Message, Part
from tunesmith.recipes.data.shapes import Content

SYSTEM = ("system", "system_prompt")
MESSAGES = ("messages", "conversations", "conversation")
QUERY = ("query", "question", "instruction", "prompt", "input")
RESPONSE = ("response", "answer", "output", "completion")
LABEL = ("label", "labels")
POSITIVE = ("positive", "positives", "pos", "positive_passages")
OPTIONAL = frozenset((*SYSTEM, "tools", *media_tags.COLUMNS))  # what any shape with a conversation may have
NOTHING: frozenset[str] = frozenset()


def find(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The column of a field whose `names` are its name and its aliases; None when there is none or no telling which."""
    if names[0] in row:
        return names[0]
    found = [name for name in names if name in row]
    return found[0] if len(found) == 1 else None


def column(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """As `find`. Raises BadRow."""
    found = find(row, names)
    if found is not None:
        return found
    several = [name for name in names if name in row]
    if several:
        raise BadRow("two_columns", first=several[0], second=several[1], field=names[0])
    raise BadRow("no_column", field=names[0], others=", ".join(names[1:]) or "another by --map")


def filled(row: Mapping[str, Any], *names: str) -> bool:
    """Whether any of these columns is there and not null."""
    return any(row.get(name) is not None for name in names)


def text(row: Mapping[str, Any], name: str) -> str:
    """The text of a column; it may be empty. Raises BadRow."""
    found = row.get(name)
    if not isinstance(found, str):
        raise BadRow("no_text", column=name, kind=short(found))
    if not found.isascii():
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise BadRow("half_surrogate", column=name) from error
    return found


def filled_text(row: Mapping[str, Any], name: str) -> str:
    """As `text`, and not blank. Raises BadRow."""
    found = text(row, name)
    if not found.strip():
        raise BadRow("empty_text", column=name)
    return found


def turns(found: object, role_key: str = "role", content_key: str = "content") -> bool:
    """Whether `found` is a list whose first entry looks like a message."""
    return (
        isinstance(found, list)
        and bool(found)
        and isinstance(found[0], dict)
        and role_key in found[0]
        and content_key in found[0]
    )


def messages_column(row: Mapping[str, Any], role_key: str = "role", content_key: str = "content") -> str | None:
    """The column that holds a list of messages; one that is filled with messages wins over one that is not."""
    for name in MESSAGES:
        if name in row and turns(row[name], role_key, content_key):
            return name
    return None


def roles(row: Mapping[str, Any]) -> list[Any]:
    """The roles as they stand in the messages column, empty without one."""
    name = messages_column(row)
    return [message.get("role") for message in row[name] if isinstance(message, dict)] if name else []


def messages(row: Mapping[str, Any], media: list[Media]) -> tuple[str, list[Message]]:
    """The messages column and its checked messages, the system column before them. Raises BadRow."""
    name = messages_column(row) or next((name for name in MESSAGES if name in row), None)
    if name is None:
        raise BadRow("no_messages")
    return name, with_system(row, conversation.checked(row[name], media))


def with_system(row: Mapping[str, Any], found: list[Message]) -> list[Message]:
    """`found` after the text of the system column; an empty one says nothing. Raises BadRow."""
    if row.keys().isdisjoint(SYSTEM):
        return found
    name = next((name for name in SYSTEM if row.get(name) not in (None, "")), None)
    if name is None:
        return found
    content = text(row, name)
    if found and found[0]["role"] == "system":
        raise BadRow("two_systems", column=name)
    return [{"role": "system", "content": content}, *found]


def history(row: Mapping[str, Any]) -> list[Message]:
    """Earlier turns of the column history, [[question, answer], ...]. Raises BadRow."""
    found = row.get("history")
    if found is None or found == "":
        return []
    if not isinstance(found, list):
        raise BadRow("bad_history")
    earlier: list[Message] = []
    for pair in found:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(side, str) for side in pair):
            raise BadRow("bad_history")
        earlier += question_answer(*pair)
    return earlier


def question_answer(question: str, answer: str) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def content(
    row: Mapping[str, Any],
    parts: tuple[Part, ...],
    names: Sequence[str],
    media: list[Media],
    label: Any = None,
    together: bool = False,
) -> Content:
    """What a shape hands back: `parts` read from the columns `names`, with the tools and files of the row.

    Every part has all files of the row, or with `together` the parts share them out in order. Raises BadRow.
    """
    more = row.keys() & OPTIONAL
    used = frozenset((*names, *more))
    tools = tool_calls.tools(row["tools"]) if "tools" in more else None
    listed = media_tags.listed(row) if more else {}
    ordered: tuple[Media, ...] = ()
    if together:
        texts = [text for part in parts for text in media_tags.texts(part)]
        ordered = media_tags.ordered(texts, media, listed, "the row")
    else:
        for part in parts:
            ordered = media_tags.ordered(media_tags.texts(part), media, listed, part.name)
    return Content(parts, used, tools, ordered, label)
