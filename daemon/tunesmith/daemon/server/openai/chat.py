"""POST /v1/chat/completions: questions to an engine, and its answers as one reply or as chunks."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.types import ASGIApp

from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.live import LiveReply
from tunesmith.daemon.server.openai import answers, bounds
from tunesmith.daemon.server.openai.answers import Chunks
from tunesmith.daemon.server.openai.asked import ANSWER, ChatCompletion, JsonObject, JsonOfSchema, Message
from tunesmith.daemon.server.openai.errors import WrongField
from tunesmith.daemon.server.openai.told import (
    ChatChunk,
    ChatCompletionSaid,
    ChatLogprobs,
    Choice,
    ChoiceDelta,
    Delta,
    FunctionSaid,
    MessageSaid,
    TokenLogprob,
    ToolCallDelta,
    ToolCallSaid,
    TopLogprob,
)
from tunesmith.daemon.serving.engines import Engines, Question
from tunesmith.daemon.serving.lines import Called, Ended, Generate, Piece, Sampling, Score
from tunesmith.daemon.serving.subjects import Subject


async def chat_completions(call: Call) -> ASGIApp:
    """Answer a conversation, as one reply or with `stream` in chunks; hanging up stops it."""
    asked: ChatCompletion = call.body
    subject = call.parts.served.find(asked.model, call.remote)
    wanted = questions(asked, subject)
    if asked.stream:
        return LiveReply(answers.streamed(_chunks(call.parts.engines, subject, asked, wanted)))
    return LiveReply(answers.replied(_whole(call.parts.engines, subject, asked, wanted)))


def questions(asked: ChatCompletion, subject: Subject) -> list[Question]:
    """One for each of the `n` answers. Raises WrongField for what is out of bounds."""
    choice = bounds.choice_of(asked.tool_choice)
    if choice not in ("auto", "none"):
        bounds.refuse_unknown_tool(choice, asked.tools)
    tools = bounds.tools_of(asked.tools or ())
    schema: dict[str, Any] | None = None
    if isinstance(asked.response_format, JsonObject | JsonOfSchema):
        schema = asked.response_format.json_schema.schema if isinstance(asked.response_format, JsonOfSchema) else {}
        bounds.refuse_large_schema(schema, "response_format.json_schema.schema")
        if choice not in ("auto", "none"):
            raise WrongField("response_format", "An answer cannot be a call and of a schema", "Send one of the two.")
    if asked.top_logprobs is not None and not asked.logprobs:
        raise WrongField("top_logprobs", "top_logprobs goes with logprobs", 'Send "logprobs": true.')
    pictures: list[str] = []
    sees = subject.eyes is not None
    messages = tuple(plain(message, place, pictures, sees) for place, message in enumerate(asked.messages))

    def question(place: int) -> Question:
        sampling = sampled(asked, place)
        return lambda id: Generate(
            id=id, sampling=sampling, messages=messages, tools=tools, tool_choice=choice, schema=schema,
            pictures=tuple(pictures), adapter=subject.adapter,
        )  # fmt: skip

    return [question(place) for place in range(asked.n or 1)]


def sampled(asked: ChatCompletion, place: int) -> Sampling:
    """Of the answer number `place`: each has a seed of its own."""
    return Sampling(
        max_tokens=asked.max_completion_tokens or asked.max_tokens or ANSWER,
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        top_k=asked.top_k or 0,
        min_p=asked.min_p or 0.0,
        presence_penalty=asked.presence_penalty or 0.0,
        frequency_penalty=asked.frequency_penalty or 0.0,
        seed=None if asked.seed is None else asked.seed + place,
        stop=stops(asked.stop),
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
    )


def stops(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def plain(message: Message, place: int, pictures: list[str], sees: bool) -> dict[str, Any]:
    """As chat templates take it, but for places of pictures."""
    text = bounds.content_of(message.content, place, pictures, sees)
    found: dict[str, Any] = {"role": "system" if message.role == "developer" else message.role, "content": text or ""}
    if message.tool_calls:
        found["tool_calls"] = [msgspec.to_builtins(call) for call in message.tool_calls]
    elif text is None:
        raise WrongField(f"messages[{place}].content", "A message has no content", "Give it a text.")
    for key in ("name", "tool_call_id", "reasoning_content"):
        if (value := getattr(message, key)) is not None:
            found[key] = value
    return found


async def _whole(
    engines: Engines, subject: Subject, asked: ChatCompletion, wanted: Sequence[Question]
) -> ChatCompletionSaid:
    texts: list[list[str]] = [[] for _ in wanted]
    calls: list[list[ToolCallSaid]] = [[] for _ in wanted]
    scores: list[list[TokenLogprob]] = [[] for _ in wanted]
    ended: dict[int, Ended] = {}
    async with contextlib.aclosing(answers.merged(engines, subject, wanted)) as events:
        async for place, event in events:
            match event:
                case Piece(text=text, scores=more):
                    texts[place].append(text)
                    scores[place] += map(logprob_of, more)
                case Called():
                    calls[place].append(ToolCallSaid(call_id(), FunctionSaid(event.name, event.arguments)))
                case Ended():
                    ended[place] = event
    choices = [
        Choice(
            place, MessageSaid("".join(texts[place]) or (None if calls[place] else ""), "assistant", calls[place]),
            ended[place].finish_reason, ChatLogprobs(scores[place]) if asked.logprobs else None,
        )
        for place in range(len(wanted))
    ]  # fmt: skip
    id, created = answers.new_id("chatcmpl")
    usage = answers.usage_of([ended[place] for place in sorted(ended)])
    return ChatCompletionSaid(id=id, created=created, model=asked.model, choices=choices, usage=usage)


async def _chunks(engines: Engines, subject: Subject, asked: ChatCompletion, wanted: Sequence[Question]) -> Chunks:
    id, created = answers.new_id("chatcmpl")
    begun: set[int] = set()
    called: dict[int, int] = {}
    ended: list[Ended] = []

    def chunk(*choices: ChoiceDelta, **more: Any) -> ChatChunk:
        return ChatChunk(id=id, created=created, model=asked.model, choices=list(choices), **more)

    async with contextlib.aclosing(answers.merged(engines, subject, wanted)) as events:
        async for place, event in events:
            if place not in begun:
                begun.add(place)
                yield chunk(ChoiceDelta(place, Delta("assistant", "")))
            match event:
                case Piece(text=text, scores=scores):
                    logprobs = ChatLogprobs([logprob_of(one) for one in scores]) if asked.logprobs else None
                    yield chunk(ChoiceDelta(place, Delta(content=text), None, logprobs))
                case Called(name=name, arguments=arguments):
                    index = called[place] = called.get(place, -1) + 1
                    delta = ToolCallDelta(index, call_id(), FunctionSaid(name, arguments))
                    yield chunk(ChoiceDelta(place, Delta(tool_calls=[delta])))
                case Ended(finish_reason=reason):
                    ended.append(event)
                    yield chunk(ChoiceDelta(place, Delta(), reason))
    if asked.stream_options is not None and asked.stream_options.include_usage:
        yield chunk(usage=answers.usage_of(ended))


def logprob_of(score: Score) -> TokenLogprob:
    top = [TopLogprob(token, logprob, list(token.encode())) for token, logprob in score.top]
    return TokenLogprob(score.token, score.logprob or 0.0, list(score.token.encode()), top)


def call_id() -> str:
    return answers.new_id("call")[0].replace("-", "_")
