"""Templates that only copy what is said: their text is a skeleton for each order of roles, filled in without jinja.

Most ChatML-like templates look at roles alone and write each content whole or stripped. Where a template's syntax
shows that nothing else can happen to a content, rendering the same order of roles again can only differ in the
contents. That is four times as fast as running the template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tunesmith.recipes.data.rows import Message

MOST_SKELETONS = 4096  # orders of roles that are remembered; conversations are rarely longer than a few turns
CONVERSATION = "messages"
CONTENT = "content"
# What could keep, change or compare a text that was written, or is not the same every time.
TOO_MUCH = (
    "AssignBlock", "FilterBlock", "Macro", "CallBlock", "Include", "Import", "FromImport", "Extends", "Block",
    "ScopedEvalContextModifier", "EvalContextModifier",
)  # fmt: skip
NOT_OF_LOOPS = ("previtem", "nextitem", "changed", "cycle")
# White space that no template writes, so that it tells whether a content was stripped.
PAD = "\x1f"
NOT_TO_NAME = ("lipsum", "cycler", "joiner", "self", "caller")

# A text, or the content with that index: whole, or stripped where the flag says so.
Piece = str | tuple[int, bool]


class Skeletons:
    """The skeletons of one template; `render` runs it over messages, with the generation prompt or without."""

    def __init__(self, render: Callable[[Sequence[Message], bool], str]) -> None:
        self._render = render
        self._known: dict[tuple[bool | str, ...], list[Piece] | None] = {}

    def text(self, messages: Sequence[Message], prompt: bool) -> str | None:
        """The rendered conversation; None where the template has to be run: other fields, or it refuses the roles."""
        key: list[bool | str] = [prompt]
        for message in messages:
            if len(message) != 2 or type(message.get(CONTENT)) is not str or type(message.get("role")) is not str:
                return None
            key.append(message["role"])
        order = tuple(key)
        if order not in self._known:
            if len(self._known) >= MOST_SKELETONS:
                return None
            self._known[order] = self._skeleton(messages, prompt)
        pieces = self._known[order]
        if pieces is None:
            return None
        return "".join([piece if isinstance(piece, str) else filled(messages, *piece) for piece in pieces])

    def _skeleton(self, messages: Sequence[Message], prompt: bool) -> list[Piece] | None:
        """None unless filling it in gives what the template makes of these very messages."""
        marks = [f"\ue000{index}\ue001" for index in range(len(messages))]
        asked = [
            {"role": message["role"], CONTENT: f"{PAD}{mark}{PAD}"}
            for message, mark in zip(messages, marks, strict=True)
        ]
        pieces: list[Piece] = [self._render(asked, prompt)]
        for index, mark in enumerate(marks):
            pieces = [part for piece in pieces for part in split(piece, mark, index)]
        rendered = "".join(piece if isinstance(piece, str) else filled(messages, *piece) for piece in pieces)
        return pieces if rendered == self._render(messages, prompt) else None


def filled(messages: Sequence[Message], index: int, stripped: bool) -> str:
    content: str = messages[index][CONTENT]
    return content.strip() if stripped else content


def split(piece: Piece, mark: str, index: int) -> Iterator[Piece]:
    """`piece` cut where a text holds `mark`, which stands between two PADs unless it was stripped."""
    if not isinstance(piece, str):
        yield piece
        return
    first, *others = piece.split(mark)
    for other in others:
        stripped = not (first.endswith(PAD) and other.startswith(PAD))
        yield first if stripped else first[:-1]
        yield index, stripped
        first = other if stripped else other[1:]
    yield first


def only_copies(syntax: Any) -> bool:
    """Whether the template, parsed, can do nothing with a content but write it, whole or stripped."""
    from jinja2 import nodes

    if any(syntax.find_all(tuple(getattr(nodes, name) for name in TOO_MUCH))):
        return False
    spoken = {CONVERSATION}  # names that stand for the conversation or a message of it
    written = set[int]()  # nodes, by identity, at which a message or its content may stand
    for loop in syntax.find_all(nodes.For):
        if isinstance(loop.iter, nodes.Name) and loop.iter.name == CONVERSATION:
            if not isinstance(loop.target, nodes.Name) or loop.recursive:
                return False
            spoken.add(loop.target.name)
            written.add(id(loop.iter))
    for output in syntax.find_all(nodes.Output):
        for term in output.nodes:
            written |= {id(found) for found in contents_written(term, spoken)}
    for node in syntax.find_all((nodes.Getattr, nodes.Getitem)):
        name = key_of(node)
        if name in NOT_OF_LOOPS:
            return False
        if name == CONTENT and id(node) not in written:
            return False
        if is_message(node.node, spoken) and isinstance(name, str):
            if hasattr(dict, name):  # get and its like reach every field
                return False
            written.add(id(node.node))
            if isinstance(node.node, nodes.Getitem):
                written.add(id(node.node.node))
    for node in syntax.find_all(nodes.Filter):
        if node.name == "random":
            return False
        if node.name in ("length", "count") and isinstance(node.node, nodes.Name):
            written.add(id(node.node))
    for node in syntax.find_all(nodes.Name):
        if node.name in NOT_TO_NAME or (node.ctx != "load" and node.name == CONVERSATION):
            return False
        if node.ctx == "load" and node.name in spoken and id(node) not in written:
            return False
    return True


def contents_written(term: Any, spoken: set[str]) -> Iterator[Any]:
    """The content nodes among what a sum or chain of texts writes: `content`, `content | trim`, `content.strip()`."""
    from jinja2 import nodes

    if isinstance(term, nodes.Add):
        yield from contents_written(term.left, spoken)
        yield from contents_written(term.right, spoken)
    elif isinstance(term, nodes.Concat):
        for part in term.nodes:
            yield from contents_written(part, spoken)
    elif isinstance(term, nodes.CondExpr):
        yield from contents_written(term.expr1, spoken)
        if term.expr2 is not None:
            yield from contents_written(term.expr2, spoken)
    elif isinstance(term, nodes.Filter) and term.name == "trim" and not (term.args or term.kwargs):
        yield from content_node(term.node, spoken)
    elif isinstance(term, nodes.Call) and isinstance(term.node, nodes.Getattr) and term.node.attr == "strip":
        if not (term.args or term.kwargs):
            yield from content_node(term.node.node, spoken)
    else:
        yield from content_node(term, spoken)


def content_node(node: Any, spoken: set[str]) -> Iterator[Any]:
    from jinja2 import nodes

    if isinstance(node, nodes.Getattr | nodes.Getitem) and key_of(node) == CONTENT and is_message(node.node, spoken):
        yield node


def is_message(node: Any, spoken: set[str]) -> bool:
    """A loop's message, or one picked out of the conversation by a number."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getitem):
        picked = isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, int)
        return picked and isinstance(node.node, nodes.Name) and node.node.name == CONVERSATION
    return isinstance(node, nodes.Name) and node.name in spoken - {CONVERSATION}


def key_of(node: Any) -> Any:
    """The name or number that is asked for; None when it is worked out."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) else None
