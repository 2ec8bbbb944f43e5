"""Conversations as text through transformers, as everyone who loads the model renders them."""

from __future__ import annotations

from typing import Any

from tunesmith.recipes.data.rows import Message
from tunesmith.recipes.errors import DataError


def text_of(messages: list[Message], tokenizer: Any, prompt: bool = False) -> str:
    """The rendered conversation; with `prompt` up to where the assistant begins to write.

    Raises DataError where the template refuses it, ModelError where it takes too much.
    """
    from jinja2 import TemplateError

    from tunesmith.recipes.data.rendering import bounds

    plain = [{key: value for key, value in message.items() if key != "loss"} for message in messages]
    try:
        with bounds.loading("The chat template of the model"):
            return str(tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=prompt))
    except TemplateError as error:
        raise DataError(f"The chat template refuses this: {error}", "Check the order of its roles.") from error
