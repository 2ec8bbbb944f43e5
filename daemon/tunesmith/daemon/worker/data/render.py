"""Conversations as tokens, through the model's own chat template, with labels on the assistant's turns only."""

from __future__ import annotations

from typing import Any

import msgspec

from tunesmith.recipes.data.rows import Message
from tunesmith.recipes.errors import DataError

NOT_TRAINED = -100  # what torch's cross entropy ignores


class Rendered(msgspec.Struct, frozen=True):
    """Tokens of a conversation; `labels` are -100 where nothing is trained."""

    input_ids: list[int]
    labels: list[int]

    @property
    def trained(self) -> int:
        return sum(label != NOT_TRAINED for label in self.labels)


def render(messages: list[Message], tokenizer: Any) -> Rendered:
    """Tokens of `messages`; an assistant turn's text and its end-of-turn token are trained.

    Spans are found by rendering prefixes. Raises DataError when a prefix does not begin the whole text, since any
    mask would then be wrong.
    """
    whole = text_of(messages, tokenizer)
    spans: list[tuple[int, int]] = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or not message.get("loss", True):
            continue
        before = text_of(messages[:index], tokenizer, prompt=True)
        after = text_of(messages[: index + 1], tokenizer)
        if not whole.startswith(after) or not after.startswith(before):
            raise DataError(
                "The chat template changes earlier turns once later ones follow, so trained turns cannot be told apart",
                "Use one answer a conversation, or a model whose template keeps earlier turns as they are.",
            )
        spans.append((len(before), end_of_turn(after, message, tokenizer)))
    encoded = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoded["input_ids"]
    labels = [
        token if any(first <= start and start < end <= last for first, last in spans) else NOT_TRAINED
        for token, (start, end) in zip(ids, encoded["offset_mapping"], strict=True)
    ]
    return Rendered(ids, labels)


def end_of_turn(after: str, message: Message, tokenizer: Any) -> int:
    """Where the turn ends: behind its last end-of-sequence token when the template writes one, else at the end.

    What templates put after it (a line end) is never generated, so it is not trained either.
    """
    eos = tokenizer.eos_token
    found = after.rfind(eos) if eos else -1
    starts_after_answer = found >= after.rfind(message["content"].strip()) + len(message["content"].strip())
    return found + len(eos) if found >= 0 and starts_after_answer else len(after)


def text_of(messages: list[Message], tokenizer: Any, prompt: bool = False) -> str:
    """The rendered conversation; with `prompt` up to where the assistant begins to write. Raises DataError."""
    from jinja2 import TemplateError

    plain = [{key: value for key, value in message.items() if key != "loss"} for message in messages]
    try:
        return str(tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=prompt))
    except TemplateError as error:
        raise DataError(f"The chat template refuses this: {error}", "Check the order of its roles.") from error


def shorten(rendered: Rendered, limit: int | None, policy: str) -> Rendered | None:
    """`rendered` within `limit` tokens by `policy`, None where the row goes. Raises DataError when it is `error`."""
    if limit is None or len(rendered.input_ids) <= limit:
        return rendered
    if policy == "error":
        raise DataError(
            f"A row has {len(rendered.input_ids)} tokens and max_length is {limit}",
            "Raise training.max_length, or set data.over_long to drop or cut_right.",
        )
    if policy == "drop":
        return None
    cut = Rendered(rendered.input_ids[:limit], rendered.labels[:limit])
    return cut if cut.trained else None
