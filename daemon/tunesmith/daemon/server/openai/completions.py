"""POST /v1/completions: what follows a text, and how likely its tokens are: what benchmarks of likelihoods ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from starlette.types import ASGIApp

from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.live import LiveReply
from tunesmith.daemon.server.openai import answers, bounds
from tunesmith.daemon.server.openai.answers import Chunks
from tunesmith.daemon.server.openai.asked import ANSWERS, INPUTS, Completion
from tunesmith.daemon.server.openai.chat import stops
from tunesmith.daemon.server.openai.errors import WrongField
from tunesmith.daemon.server.openai.told import CachedTokens, CompletionSaid, TextChoice, TextLogprobs, Usage
from tunesmith.daemon.serving.engines import WAITING, Engines, Question
from tunesmith.daemon.serving.lines import Ended, Generate, Piece, Sampling, Score
from tunesmith.daemon.serving.subjects import Subject

MAX_TOKENS = 16  # where nobody says, as OpenAI has it
AT_ONCE = WAITING // 2  # answers of one request: others want theirs too


async def completions(call: Call) -> ASGIApp:
    """Go on from a text, or from several, as one reply or with `stream` in chunks; hanging up stops it."""
    asked: Completion = call.body
    subject = call.parts.served.find(asked.model, call.remote)
    wanted = questions(asked, subject)
    if asked.stream:
        return LiveReply(answers.streamed(_chunks(call.parts.engines, subject, asked, wanted)))
    return LiveReply(answers.replied(_whole(call.parts.engines, subject, asked, wanted)))


def questions(asked: Completion, subject: Subject) -> list[Question]:
    """`n` for each text, in their order. Raises WrongField for what is out of bounds."""
    texts = bounds.inputs(asked.prompt, "prompt")
    count = asked.n or 1
    if len(texts) * count > AT_ONCE:
        text = f"prompt and n ask for more than {AT_ONCE} answers"
        raise WrongField("prompt", text, f"Send them in several requests; at most {INPUTS} texts, n {ANSWERS}.")

    def question(text: str | tuple[int, ...], place: int) -> Question:
        sampling = sampled(asked, place)
        words, ids = (text, ()) if isinstance(text, str) else (None, text)
        return lambda id: Generate(
            id=id, sampling=sampling, text=words, ids=ids, echo=bool(asked.echo), adapter=subject.adapter
        )

    return [question(text, place) for text in texts for place in range(count)]


def sampled(asked: Completion, place: int) -> Sampling:
    return Sampling(
        max_tokens=MAX_TOKENS if asked.max_tokens is None else asked.max_tokens,
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        top_k=asked.top_k or 0,
        min_p=asked.min_p or 0.0,
        presence_penalty=asked.presence_penalty or 0.0,
        frequency_penalty=asked.frequency_penalty or 0.0,
        seed=None if asked.seed is None else asked.seed + place,
        stop=stops(asked.stop),
        logprobs=asked.logprobs,
    )


async def _whole(engines: Engines, subject: Subject, asked: Completion, wanted: Sequence[Question]) -> CompletionSaid:
    texts: list[list[str]] = [[] for _ in wanted]
    scores: list[list[Score]] = [[] for _ in wanted]
    ended: dict[int, Ended] = {}
    async with contextlib.aclosing(answers.merged(engines, subject, wanted)) as events:
        async for place, event in events:
            match event:
                case Piece(text=text, scores=more):
                    texts[place].append(text)
                    scores[place] += more
                case Ended():
                    ended[place] = event
    choices = [
        TextChoice(
            place, "".join(texts[place]), ended[place].finish_reason,
            logprobs_of(scores[place]) if asked.logprobs is not None else None,
        )
        for place in range(len(wanted))
    ]  # fmt: skip
    id, created = answers.new_id("cmpl")
    usage = usage_of([ended[place] for place in sorted(ended)], asked.n or 1)
    return CompletionSaid(id=id, created=created, model=asked.model, choices=choices, usage=usage)


async def _chunks(engines: Engines, subject: Subject, asked: Completion, wanted: Sequence[Question]) -> Chunks:
    id, created = answers.new_id("cmpl")
    ended: dict[int, Ended] = {}
    offsets: dict[int, int] = {}

    def chunk(choices: list[TextChoice], usage: Usage | None = None) -> CompletionSaid:
        return CompletionSaid(id=id, created=created, model=asked.model, choices=choices, usage=usage)

    async with contextlib.aclosing(answers.merged(engines, subject, wanted)) as events:
        async for place, event in events:
            match event:
                case Piece(text=text, scores=scores):
                    before = offsets.get(place, 0)
                    offsets[place] = before + len(text)
                    logprobs = logprobs_of(scores, before) if asked.logprobs is not None else None
                    yield chunk([TextChoice(place, text, None, logprobs)])
                case Ended(finish_reason=reason):
                    ended[place] = event
                    yield chunk([TextChoice(place, "", reason)])
    if asked.stream_options is not None and asked.stream_options.include_usage:
        yield chunk([], usage_of([ended[place] for place in sorted(ended)], asked.n or 1))


def usage_of(ended: Sequence[Ended], count: int) -> Usage:
    """Of several texts with `count` answers each: every text counts once."""
    prompt = sum(one.prompt_tokens for one in ended[::count])
    written = sum(one.tokens for one in ended)
    return Usage(prompt, written, prompt + written, CachedTokens(sum(one.cached for one in ended[::count])))


def logprobs_of(scores: Sequence[Score], before: int = 0) -> TextLogprobs:
    """`before`: characters of the text that were told already."""
    offsets = []
    for score in scores:
        offsets.append(before)
        before += len(score.token)
    return TextLogprobs(
        tokens=[score.token for score in scores],
        token_logprobs=[score.logprob for score in scores],
        top_logprobs=[dict(score.top) if score.logprob is not None else None for score in scores],
        text_offset=offsets,
    )
