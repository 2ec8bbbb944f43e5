"""What is odd about a row but does not make it unusable, by code."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from tunesmith.recipes.data.rows import Part, Sample

if TYPE_CHECKING:
    from tunesmith.recipes.data.rendering.tokenizer import Tokenizer

# What a person is told, with the number of rows before it.
FINDINGS = {
    "empty_user": "rows have a user turn without text",
    "same_role_twice": "rows have two turns of the same role one after the other",
    "ends_unanswered": "rows end with a turn that is not the assistant's; nothing is learned from that turn",
    "starts_with_assistant": "rows begin with an assistant turn, before anybody asked",
    "template_markers": "rows have the chat template's own markers in their text; the model takes them for real ones",
    "tools_left_out": "rows list tools that the chat template does not write; the model does not see them",
    "media_not_checked": "rows name media on the web, which were not looked at",
}


def findings_of(found: Sample, tokenizer: Tokenizer | None) -> Iterator[str]:
    """Codes of FINDINGS, each at most once."""
    codes = {code for part in found.parts for code in in_part(part, tokenizer)}
    if any(item.source.startswith(("http://", "https://")) for item in found.media):
        codes.add("media_not_checked")
    template = None if tokenizer is None else tokenizer.template
    if found.tools and template is not None and "tools" not in template.reads:
        codes.add("tools_left_out")
    yield from sorted(codes)


def in_part(part: Part, tokenizer: Tokenizer | None) -> Iterator[str]:
    if part.text is not None:
        if holds_marker(part.text, tokenizer):
            yield "template_markers"
        return
    before = ""
    for message in part.messages or ():
        role, content = message["role"], message["content"]
        if role == before and role != "tool":
            yield "same_role_twice"
        if role == "user" and not content.strip():
            yield "empty_user"
        if role == "assistant" and before in ("", "system"):
            yield "starts_with_assistant"
        if holds_marker(content, tokenizer):
            yield "template_markers"
        before = role
    if before != "assistant" and part.name != "prompt":
        yield "ends_unanswered"


def holds_marker(text: str, tokenizer: Tokenizer | None) -> bool:
    if tokenizer is None:
        return False
    # Nearly all text has none of the few characters that markers begin with; only what has one is searched for each.
    markers, beginnings = markers_of(tokenizer.special_texts)
    return any(beginning in text for beginning in beginnings) and any(marker in text for marker in markers)


@cache
def markers_of(special_texts: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The special tokens' texts, and the characters they begin with."""
    markers = tuple(sorted(special_texts))
    return markers, tuple(sorted({marker[0] for marker in markers}))
