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
    "stray_quote": "a quotation mark that is not closed, or text right after a closing one",
    "wrong_fields": "{count} fields where the header has {expected}",
    "bad_header": "the header cannot be used: {error}",
    "bad_cell": "the column {column} is not valid JSON: {error}",
    "nul_byte": "has a NUL byte, as text never has",
    "second_list": "a second list of rows, {key}, with {count} rows; only the first one is read",
    # shapes
    "not_shape": "not of the shape {shape}: {why}",
    "no_shape": "of no shape that is known",
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
    "no_text": "the column {column} has no text but {kind}",
    "empty_text": "the column {column} is empty",
    "half_surrogate": "the column {column} has half of a surrogate pair",
    "no_column": "no column {field} (or {others})",
    "two_columns": "{first} and {second} both look like {field}; say which with --map",
    "bad_field": "message {place} has a {field} that cannot be read: {kind}",
    "bad_weight": "message {place} has the weight {weight}; known: 0 and 1",
    "bad_part": "message {place} has a content part that cannot be read: {why}",
    "bad_tool_calls": "message {place} has tool calls that cannot be read: {why}",
    "bad_tools": "the tools cannot be read: {why}",
    "bad_history": "the history is not a list of pairs of texts",
    "two_systems": "a system text stands in the column {column} and in the messages",
    "no_label": "no label: {why}",
    "different_prompts": "chosen and rejected do not answer the same messages",
    "prompt_differs": "the prompt is not how {part} begins",
    "no_last_answer": "{part} does not end with an assistant message",
    # media
    "bad_media": "the column {column} is not a file or a list of files",
    "media_count": "{tags} times <{kind}> in the text of {part}, but {files} such files",
    "two_media": "files of the kind {kind} stand in the messages and in the column {column}",
    "media_missing": "the file {source} does not exist",
    "media_unreadable": "the file {source} cannot be read: {error}",
    "media_kind": "{source} is not of the kind {kind}: {found}",
    "media_broken": "{source} cannot be decoded: {error}",
    "media_too_large": "{source} is larger than {limit}",
    # rendering
    "template_refuses": "the chat template refuses this: {error}",
    "template_limits": "the chat template takes more than {seconds} s of processor time or {memory} of memory for it",
    "rewritten_turns": "the chat template rewrites message {place} or what precedes it later on; train the last turn",
    "drops_reasoning": "the chat template leaves out the reasoning of message {place} (many keep only the last)",
    "drops_calls": "the chat template leaves out the tool calls of message {place}",
    "no_end_of_turn": "the chat template writes no end-of-turn token after message {place}",
    "nothing_trained": "no token to learn from",
    "over_long": "longer than {limit} tokens ({tokens})",
}


class BadRow(ValueError):
    """Why one row cannot be used: a code of REASONS and the values of its places."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(REASONS[code].format(**values))
        self.code = code
        self.values = {key: value if isinstance(value, int) else str(value) for key, value in values.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.code, self.values)  # what Exception does loses the values

    def at(self, file: str, line: int, text: str = "") -> RejectedRow:
        return RejectedRow(file, line, str(self), self.code, dict[str, Any](self.values), text)


def _again(code: str, values: dict[str, Any]) -> BadRow:
    return BadRow(code, **values)


def short(value: object, limit: int = 24) -> str:
    """A foreign value as a person can read it in one line."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
