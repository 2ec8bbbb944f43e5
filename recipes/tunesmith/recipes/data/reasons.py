"""Why a row cannot be used: one table, so that every language and every report says the same."""

from __future__ import annotations

from typing import Any

from tunesmith.recipes.data.rows import RejectedRow

# A screen in another language has the same codes and places.
REASONS = {
    # reading
    "unreadable": "cannot be read: {error}",
    "not_utf8": "not UTF-8 at byte {byte}",
    "not_json": "not valid JSON: {error}",
    "not_object": "a row must be an object with named fields, this is {kind}",
    "duplicate_key": "the key {key} stands twice",
    "too_long_row": "longer than {limit}",
    "too_deep": "nested too deeply",
    "broken_off": "the file breaks off here: {error}",
    # shapes
    "not_shape": "not of the shape {shape}: {why}",
    "no_messages": "no filled list called messages",
    "no_object": "message {place} is not an object",
    "bad_role": "message {place} has the role {role}; known: {roles}",
    "no_content": "message {place} ({role}) has no text in content",
    "surrogate": "message {place} has half of a surrogate pair",
    "late_system": "message {place} is a system message and not the first",
    "bad_loss": "message {place} has a loss that is neither true nor false",
    "no_assistant": "no assistant turn to learn from",
    "no_answer": "no expected answer: give 'answer' or end with an assistant message",
    "no_question": "the question does not end with a user message",
    "bad_phrases": "'{key}' is not a list of texts",
    # rendering
    "template_refuses": "the chat template refuses this: {error}",
    "rewritten_turns": "the chat template changes earlier turns once later ones follow, so trained turns cannot be told",
    "nothing_trained": "no token to learn from",
    "over_long": "longer than {limit} tokens ({tokens})",
}


class BadRow(ValueError):
    """Why one row cannot be used: a code of REASONS and the values of its places."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(REASONS[code].format(**values))
        self.code = code
        self.values = {key: value if isinstance(value, int) else str(value) for key, value in values.items()}

    def at(self, file: str, line: int, text: str = "") -> RejectedRow:
        return RejectedRow(file, line, str(self), self.code, dict[str, Any](self.values), text)


def short(value: object, limit: int = 24) -> str:
    """A foreign value as a person can read it in one line."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
