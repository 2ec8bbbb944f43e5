"""A part of a row as the exact text and tokens that the model sees, and which of them are trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering import bounds, spans
from tunesmith.recipes.data.rendering.chat_template import Span, Tools
from tunesmith.recipes.data.rendering.tokenizer import Tokenizer
from tunesmith.recipes.data.rows import Part, Rendered
from tunesmith.recipes.errors import ModelError

MEDIA_TAGS = ("<image>", "<audio>", "<video>")
_TAGS = re.compile("|".join(MEDIA_TAGS))
SLOWEST = 50_000  # characters a second of processor time that a tokenizer must cut
MOST_STOPPED = 3  # conversations that a template is stopped over before it is given up


class _Text(NamedTuple):
    """A part as text and where its trained spans stand; `alone`: it is no conversation. `place` is that of the part."""

    place: int
    text: str
    spans: Sequence[Span]
    alone: bool


def render(part: Part, tools: Tools, tokenizer: Tokenizer, trained: str = "assistant") -> Rendered:
    """`trained` is assistant (each turn of it), last (its last turn) or all. Raises BadRow, ModelError."""
    rendered = render_many([(part, tools)], tokenizer, trained)[0]
    if isinstance(rendered, BadRow):
        raise rendered
    return rendered


def render_many(
    parts: Iterable[tuple[Part, Tools]], tokenizer: Tokenizer, trained: str = "assistant"
) -> list[Rendered | BadRow]:
    """`render` for many parts at once, which is several times faster; why a part cannot be used in its place.

    Raises ModelError when a conversation comes and the model has no chat template, or one that takes too much again
    and again.
    """
    with bounds.section():
        done, waiting = _written(parts, tokenizer, trained)
    texts = [one.text for one in waiting]
    # Only a tokenizer that is made to be slow comes near: the slowest we know take a second for a million characters.
    with bounds.section(bounds.KILL_S + sum(map(len, texts)) / SLOWEST):
        bounds.next_conversation()
        encoded = tokenizer.encode_many(texts, [one.spans for one in waiting])
    for one, (ids, mask) in zip(waiting, encoded, strict=True):
        text = one.text
        if "<image>" in text or "<audio>" in text or "<video>" in text:
            mask = _without_tags(text, mask, tokenizer)
        done[one.place] = _around(text, ids, mask, tokenizer) if one.alone else Rendered(text, ids, mask)
    return [item for item in done if item is not None]


def _written(
    parts: Iterable[tuple[Part, Tools]], tokenizer: Tokenizer, trained: str
) -> tuple[list[Rendered | BadRow | None], list[_Text]]:
    """Why a part cannot be used, or None, in its place; and the texts of those that can. Raises ModelError."""
    done: list[Rendered | BadRow | None] = []
    waiting: list[_Text] = []
    for part, tools in parts:
        bounds.next_conversation()
        try:
            text, found = _placed(part, tools or None, tokenizer, trained)
            if not text.isascii():
                text.encode()
        except UnicodeEncodeError:
            done.append(BadRow("half_surrogate", column=part.name))
            continue
        except BadRow as reason:
            done.append(reason)
            continue
        except bounds.TOO_MUCH as error:
            done.append(_took_too_much(tokenizer, error))
            continue
        waiting.append(_Text(len(done), text, found, part.messages is None))
        done.append(None)
    return done, waiting


def _took_too_much(tokenizer: Tokenizer, error: BaseException) -> BadRow:
    """One row may be enormous; a template that is stopped over several is to blame itself. Raises ModelError."""
    template = tokenizer.template
    if template is not None:
        template.taken_too_much += 1
        if template.taken_too_much >= MOST_STOPPED:
            raise bounds.refused("The chat template of the model") from error
    return BadRow("template_limits", seconds=f"{bounds.CPU_S:g}", memory=f"{bounds.MEMORY_BYTES >> 30} GiB")


def _placed(part: Part, tools: Tools, tokenizer: Tokenizer, trained: str) -> tuple[str, Sequence[Span]]:
    """The text and its trained spans in characters. Raises BadRow, ModelError."""
    if part.messages is None:
        text, found = part.text or "", [(0, len(part.text or ""))]
    elif tokenizer.template is None:
        raise ModelError(
            "This model has no chat template, so conversations cannot be put into its form",
            "Take the instruct variant of the model, or rows of the shape text.",
        )
    elif part.name == "prompt":
        text = tokenizer.template.text(tokenizer.template.given(part.messages), tools, prompt=True)
        found = []
    else:
        text, found = spans.found(tokenizer.template, tokenizer.endings, part.messages, tools, trained)
    return text, found


def _without_tags(text: str, mask: Any, tokenizer: Tokenizer) -> Any:
    """`mask` without each token that has a character of a media tag."""
    encoded = tokenizer.encode(text)
    for tag in _TAGS.finditer(text):
        mask = mask & ~((encoded.starts < tag.end()) & (encoded.ends > tag.start()))
    return mask


def _around(text: str, ids: Any, mask: Any, tokenizer: Tokenizer) -> Rendered:
    """Text that is no conversation, between the tokens that open and close a text for this model; all trained."""
    import numpy as np

    before = [] if tokenizer.leading_id is None else [tokenizer.leading_id]
    after = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
    framed = np.concatenate((np.array(before, dtype=np.int32), ids, np.array(after, dtype=np.int32)))
    flags = np.concatenate((np.ones(len(before), dtype=bool), mask, np.ones(len(after), dtype=bool)))
    opening = tokenizer.bos_token if before and tokenizer.bos_token else ""
    return Rendered(opening + text + (tokenizer.eos_token if after and tokenizer.eos_token else ""), framed, flags)
