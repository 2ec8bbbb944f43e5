"""A model's own chat template, run as its makers run it: sandboxed jinja with the helpers that templates rely on."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.skeletons import Skeletons, only_copies
from tunesmith.recipes.data.rows import Message
from tunesmith.recipes.errors import ModelError

Tools = list[dict[str, Any]] | None
Span = tuple[int, int]

# What the tags around a generated block become while spans are looked for; drawn per process, so no row contains them.
_OPEN, _CLOSE = (f"\ue000{secrets.token_hex(12)}{side}" for side in "<>")
LOOP_NAMES = frozenset({"first", "last", "index", "index0", "length", "previtem", "nextitem"})
LARGEST_RESULT = 50_000_000  # characters of a text times a number, bits of a number
_REASONING = ("reasoning_content", "thinking", "reasoning")
_EXTRAS = frozenset({"loss", "tool_calls", *_REASONING})

# A call whose words no template writes by itself, to find out what a template does with one.
PROBE_CALL = {
    "id": "qjx000001",
    "type": "function",
    "function": {"name": "qjxcall", "arguments": {"qjxkey": "qjxvalue"}},
}
_PROPERTIES = {"type": "object", "properties": {"qjxkey": {"type": "string", "description": "a key"}}}
PROBE_TOOL = {"type": "function", "function": {"name": "qjxcall", "description": "calls", "parameters": _PROPERTIES}}


class ChatTemplate:
    """`source` compiled; `tokens` are the names it may use (bos_token, eos_token, ...). Raises ModelError.

    Making and using one is done within `bounds.section`.

    Dates in it are those of `now`, one moment for all rows, so that a run over midnight renders every row alike.
    """

    def __init__(self, source: str, tokens: Mapping[str, Any], now: datetime | None = None) -> None:
        from jinja2 import TemplateError, meta

        self.source = source
        self.tokens = dict(tokens)
        self.now = now or datetime.now()
        plain, marking = environment(False), environment(True)
        try:
            syntax = plain.parse(source)
            self._plain = plain.from_string(source, {"strftime_now": self.now.strftime})
            self._marking = marking.from_string(source, {"strftime_now": self.now.strftime})
        except (TemplateError, SyntaxError, RecursionError, ValueError, OverflowError) as error:
            # Beside jinja's own: what Python says of the code that jinja makes of it.
            raise ModelError(f"The chat template cannot be read: {error}", "Download the model again.") from error
        self.taken_too_much = 0  # conversations that it was stopped over
        self._names = {**self._plain.globals, **self.tokens}
        self.reads = frozenset(meta.find_undeclared_variables(syntax))
        self.has_markers = "endgeneration" in source and marked_blocks(syntax) > 0
        self._failures = failures()
        self._skeletons = Skeletons(self._run) if only_copies(syntax) else None
        self._bare_calls, self._call_text = self._call_form() if "tool_calls" in source else (False, False)

    def text(self, messages: Sequence[Message], tools: Tools = None, prompt: bool = False) -> str:
        """The rendered conversation; with `prompt` up to where the assistant begins to write. Raises BadRow."""
        try:
            if self._skeletons is not None and not tools:
                text = self._skeletons.text(messages, prompt)
                if text is not None:
                    return text
            return self._rendered(self._plain, messages, tools, prompt)
        except self._failures as error:
            raise BadRow("template_refuses", error=str(error) or type(error).__name__) from error

    def marked(self, messages: Sequence[Message], tools: Tools = None) -> tuple[str, list[Span]]:
        """The rendered conversation and where its generated blocks stand, in characters. Raises BadRow."""
        try:
            text = self._rendered(self._marking, messages, tools, False)
        except self._failures as error:
            raise BadRow("template_refuses", error=str(error) or type(error).__name__) from error
        pieces: list[str] = []
        spans: list[Span] = []
        length = 0
        for index, block in enumerate(text.split(_OPEN)):
            inside, closed, after = block.partition(_CLOSE)
            if bool(closed) != (index > 0):
                raise BadRow("template_refuses", error="its generated blocks are not closed one after another")
            if closed:
                spans.append((length, length + len(inside)))
            pieces += (inside, after)
            length += len(inside) + len(after)
        return "".join(pieces), spans

    def _run(self, messages: Sequence[Message], prompt: bool) -> str:
        return self._rendered(self._plain, messages, None, prompt)

    def _rendered(self, template: Any, messages: Sequence[Message], tools: Tools, prompt: bool) -> str:
        """As template.render does it, but without merging the same names anew for every row: a third of its time."""
        names = {
            **self._names, "messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt,
        }  # fmt: skip
        context = template.new_context(names, shared=True)
        return str(template.environment.concat(template.root_render_func(context)))

    def given(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages as this template takes them.

        `loss` is ours and goes; reasoning stands under each name that templates read; of tool calls some templates
        want the arguments as JSON text, and some no content beside them.
        """
        if not any(_EXTRAS & message.keys() for message in messages):
            return messages
        return [self._given(message) if _EXTRAS & message.keys() else message for message in messages]

    def _given(self, message: Message) -> Message:
        plain = {key: value for key, value in message.items() if key != "loss"}
        thought = next((plain[key] for key in _REASONING if plain.get(key) is not None), None)
        if thought is not None:
            plain = {"thinking": thought, **plain, "reasoning_content": thought}
        if plain.get("tool_calls"):
            if self._bare_calls and not plain.get("content"):
                plain["content"] = None
            if self._call_text:
                plain["tool_calls"] = [
                    {**call, "function": {**call["function"], "arguments": tojson(call["function"]["arguments"])}}
                    for call in plain["tool_calls"]
                ]
        return plain

    def _call_form(self) -> tuple[bool, bool]:
        """Whether content beside calls must be missing, and whether arguments must be text: the first that works."""
        asked: Message = {"role": "user", "content": "qjxask"}
        for self._bare_calls, self._call_text in ((False, False), (True, False), (False, True), (True, True)):
            call: Message = {"role": "assistant", "content": "", "tool_calls": [PROBE_CALL]}
            try:
                text = self.text(self.given([asked, call]), [PROBE_TOOL])
            except BadRow:
                continue
            if all(word in text.partition("qjxask")[2] for word in ("qjxcall", "qjxkey", "qjxvalue")):
                return self._bare_calls, self._call_text
        return False, False


def result_size(operator: str, left: Any, right: Any) -> float:
    """About how many characters, items or bits the result has."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        return bits * max(right, 0) if operator == "**" else bits + right.bit_length()
    for several, times in ((left, right), (right, left)):
        if isinstance(several, str | list | tuple) and isinstance(times, int):
            return len(several) * max(times, 0)
    return 0


def marked_blocks(syntax: Any) -> int:
    """How many generated blocks the template has."""
    from jinja2 import nodes

    calls = (block.call.node for block in syntax.find_all(nodes.CallBlock))
    return sum(isinstance(call, nodes.ExtensionAttribute) and call.name == "_generated" for call in calls)


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The filter of that name; jinja's own would escape what HTML must not contain."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@cache
def failures() -> tuple[type[Exception], ...]:
    """What a template can raise over a row it was not written for."""
    from jinja2 import TemplateError

    return (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


@cache
def environment(marking: bool) -> Any:
    """The sandbox that templates run in; with `marking` generated blocks come between two marks."""
    from jinja2 import TemplateError, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.runtime import LoopContext
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace

    class Generation(Extension):
        """`{% generation %} ... {% endgeneration %}`: what the model itself writes."""

        tags = {"generation"}  # noqa: RUF012 - jinja asks for it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_generated"), [], [], body).set_lineno(line)

        def _generated(self, caller: Callable[[], str]) -> str:
            return f"{_OPEN}{caller()}{_CLOSE}" if marking else caller()

    def allow(name: str) -> None:
        if name.startswith("_"):
            raise SecurityError(f"a template may not set {name}")

    class Names(Namespace):
        """A template's own variables; names with an underscore could reach into the interpreter."""

        def __init__(self, *items: Any, **values: Any) -> None:
            for name in (given := dict(*items, **values)):
                allow(name)
            super().__init__(given)

        def __setitem__(self, name: str, value: Any) -> None:
            allow(name)
            super().__setitem__(name, value)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    class Sandbox(ImmutableSandboxedEnvironment):
        """The same rules, found out faster for the two things that templates ask of every message.

        A product or power that no template needs is refused before it is worked out, also where memory has no limit.
        """

        intercepted_binops = frozenset(("*", "**"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if result_size(operator, left, right) > LARGEST_RESULT:
                raise SecurityError(f"a template may not make something so large with {operator}")
            return super().call_binop(context, operator, left, right)

        def getattr(self, obj: Any, attribute: str) -> Any:
            if type(obj) is dict and attribute in obj and not hasattr(dict, attribute):
                return obj[attribute]
            if type(obj) is LoopContext and attribute in LOOP_NAMES:
                return getattr(obj, attribute)
            return super().getattr(obj, attribute)

    sandbox = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols], cache_size=0)
    sandbox.filters["tojson"] = tojson
    sandbox.globals["raise_exception"] = raise_exception
    sandbox.globals["namespace"] = Names
    return sandbox
