"""Requests as prompts: messages through the model's own chat template, as check, training and verification do it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from tunesmith.daemon.serving.lines import Generate
from tunesmith.daemon.worker.engines import Engine, Form, Prompt, Seen
from tunesmith.daemon.worker.serve import calls, pictures
from tunesmith.daemon.worker.serve.calls import CallForm
from tunesmith.recipes.data.parsing import tool_calls
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.data.rendering.chat_template import ChatTemplate
from tunesmith.recipes.data.rows import Message
from tunesmith.recipes.errors import ModelError

SHORTER = "Begin a new conversation or ask with a shorter text."


class Prompts:
    """`form` is how the model calls tools."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @cached_property
    def form(self) -> CallForm:
        with bounds.loading("The chat template of the model"):
            return calls.form_of(self._template())

    def of(self, asked: Generate) -> Prompt:
        """Raises ModelError for what the model cannot be asked."""
        engine, tools = self._engine, self.tools(asked)
        seen = self._seen(asked, tools) if asked.pictures else None
        if seen is not None:
            ids = seen.ids
        elif asked.messages:
            ids = engine.tokenize(self.text(asked.messages, tools), False)
        elif asked.text is not None:
            ids = engine.tokenize(asked.text, True)
        else:
            ids = list(asked.ids)
        room = engine.context_tokens - len(ids)
        if room < (1 if asked.sampling.max_tokens else 0):
            raise ModelError(
                f"The conversation has {len(ids)} tokens; the model's context holds {engine.context_tokens}",
                SHORTER, "context_full",
            )  # fmt: skip
        if not ids:
            raise ModelError("There is nothing to go on from", "Send a text of at least one token.", "request")
        return Prompt(ids, asked.sampling, self._held(asked, tools), asked.adapter, asked.echo, seen)

    def _seen(self, asked: Generate, tools: Sequence[dict[str, Any]]) -> Seen:
        """The conversation with its pictures where they stand. Raises ModelError."""
        if not (mark := self._engine.mark):
            raise ModelError("This model reads text alone", "Send no images.", "media_unsupported")
        found = [pictures.decoded(one) for one in asked.pictures]
        seen = self._engine.see(self.text([marked(message, mark) for message in asked.messages], tools), found)
        if not seen.ids or seen.ids[-1] < 0:
            raise ModelError("The conversation ends with an image", "Send a text behind it.", "media")
        return seen

    def tools(self, asked: Generate) -> tuple[dict[str, Any], ...]:
        """Those that may be called."""
        if asked.tool_choice == "none":
            return ()
        if asked.tool_choice in ("auto", "required"):
            return asked.tools
        return tuple(tool for tool in asked.tools if tool["function"]["name"] == asked.tool_choice)

    def text(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> str:
        """The prompt. Raises ModelError when there is no template, or it refuses the messages or takes too much."""
        template = self._template()
        try:
            given = [_parsed(message, place) for place, message in enumerate(messages)]
            if tools and self.form.told:
                given, tools = calls.told(given, tools), ()
            with bounds.loading("The chat template of the model"):
                return template.text(template.given(given), list(tools) or None, prompt=True)
        except BadRow as error:
            raise ModelError(f"The messages cannot be used: {error}", "Check their roles.", "messages") from error

    def _template(self) -> ChatTemplate:
        if self._engine.template is None:
            raise ModelError(
                "The model carries no chat template",
                "Ask it for completions, or take an instruct model.",
                "no_template",
            )
        return self._engine.template

    def _held(self, asked: Generate, tools: Sequence[dict[str, Any]]) -> Any:
        if tools and asked.tool_choice != "auto":
            return self._engine.held(calls.forced(tools, self.form))
        return None if asked.schema is None else self._engine.held(Form(asked.schema or calls.ANY_OBJECT))


def marked(message: Message, mark: str) -> Message:
    """Its parts as one text, with `mark` where a picture stands."""
    if not isinstance(message.get("content"), list):
        return message
    parts = (mark if part["type"] == "picture" else part["text"] for part in message["content"])
    return {**message, "content": "".join(parts)}


def _parsed(message: Message, place: int) -> Message:
    """With the arguments of its calls as objects, as data has them. Raises BadRow."""
    if not message.get("tool_calls"):
        return message
    return {**message, "tool_calls": tool_calls.calls(message["tool_calls"], place)}
