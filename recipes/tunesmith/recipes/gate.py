"""The gate of a recipe, `fail_if`: a condition on measures, in a grammar of its own. No code of anybody is run.

    condition  = all { "or" all }            all     = part { "and" part }
    part       = comparison | "(" condition ")"
    comparison = sum ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum
    sum        = product { ("+" | "-") product }
    product    = factor { ("*" | "/") factor }
    factor     = "-" factor | number | name | "(" sum ")"

A name is a measure after training, `before.NAME` the same before it. `and` binds closer than `or`. What is wrong is
told with the place in the text; so are a measure that was not taken, a division by zero and a figure that is no
number.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

import msgspec

from tunesmith.recipes import suites
from tunesmith.recipes.errors import EvaluationError, RecipeError, nearest
from tunesmith.recipes.spec import BENCHMARK, BenchmarkSpec, JobSpec

BEFORE = "before."
UNANSWERED = "gate_unanswered"
MEASURES = ("loss", "perplexity", "general_perplexity", "correct")  # beside the recipe's scores and its suites
MOST_CHARACTERS = 500  # of an expression; a person writes one of fifty
DEEPEST = 30  # parentheses and minus signs in each other
TOKEN = re.compile(r"(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
                   r"|(?P<mark><=|>=|==|!=|[<>+\-*/()])", re.ASCII)  # fmt: skip
ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


class Token(msgspec.Struct, frozen=True):
    """`kind` is number, name, mark or end; `at` counts characters from 1."""

    kind: str
    text: str
    at: int


class Number(msgspec.Struct, frozen=True, tag=True):
    value: float
    at: int


class Name(msgspec.Struct, frozen=True, tag=True):
    name: str
    at: int


class Negative(msgspec.Struct, frozen=True, tag=True):
    of: Figure
    at: int


class Arithmetic(msgspec.Struct, frozen=True, tag=True):
    """`at` is the place of the operator."""

    left: Figure
    mark: str
    right: Figure
    at: int


class Comparison(msgspec.Struct, frozen=True, tag=True):
    left: Figure
    mark: str
    right: Figure
    at: int


class Joined(msgspec.Struct, frozen=True, tag=True):
    """`word` is and or or."""

    left: Condition
    word: str
    right: Condition


Figure = Number | Name | Negative | Arithmetic
Condition = Comparison | Joined


class Gate(msgspec.Struct, frozen=True):
    """An expression that was read."""

    text: str
    condition: Condition

    def names(self) -> dict[str, int]:
        """The measures in it, each with the place where it stands first."""
        found: dict[str, int] = {}
        _collect(self.condition, found)
        return found

    def fails(self, values: Mapping[str, float]) -> bool:
        """Whether the condition is met. Raises EvaluationError where the values do not give an answer."""
        return _met(self.condition, values, self.text)


def parse(text: str) -> Gate:
    """Raises RecipeError that says where."""
    if len(text) > MOST_CHARACTERS:
        raise RecipeError(f"evaluation.fail_if has {len(text)} characters", f"Give {MOST_CHARACTERS} at most.")
    reader = _Reader(text, _tokens(text))
    return Gate(text, reader.whole())


def suites_of(spec: JobSpec) -> dict[str, BenchmarkSpec]:
    """The public benchmarks that the recipe's gate can name."""
    asked = spec.benchmark
    return {} if asked is None else {suites.name_of(suite): asked for suite in asked.suites}


def waits(spec: JobSpec) -> bool:
    """Whether the recipe's gate is looked at once public benchmarks have been taken: it names one of them."""
    if spec.evaluation.fail_if is None:
        return False
    named = {name.removeprefix(BEFORE) for name in parse(spec.evaluation.fail_if).names()}
    return spec.task == BENCHMARK or not named.isdisjoint(suites_of(spec))


def check(text: str, scores: Collection[str]) -> None:
    """Raises RecipeError for what is no condition, or names a measure that is none of these `scores` nor MEASURES."""
    known = (*MEASURES, *scores)
    for name, at in parse(text).names().items():
        if name.removeprefix(BEFORE) not in known:
            hint = nearest(name.removeprefix(BEFORE), known)
            raise RecipeError(
                f"{_place(text, at)}: there is no measure '{name}'",
                f"{hint} A score must be in `scores`, a suite in `benchmark.suites`.",
            )


def _tokens(text: str) -> list[Token]:
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            _wrong(text, at + 1, f"'{text[at]}' means nothing here")
        found.append(Token(match.lastgroup, match[0], at + 1))
        at = match.end()
    return [*found, Token("end", "", len(text) + 1)]


def _place(text: str, at: int) -> str:
    return f"evaluation.fail_if '{text}', character {at}"


def _wrong(text: str, at: int, what: str) -> NoReturn:
    raise RecipeError(f"{_place(text, at)}: {what}", 'Write it like "perplexity > 1.1 * before.perplexity".')


class _Reader:
    """Recursive descent over the tokens; what is in parentheses is a condition or a figure, as it turns out."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text, self.tokens, self.next, self.depth = text, tokens, 0, 0

    @property
    def here(self) -> Token:
        return self.tokens[self.next]

    def taken(self, *texts: str) -> Token | None:
        """The token here if it is one of these."""
        token = self.here
        if token.kind in ("number", "end") or token.text not in texts:
            return None
        self.next += 1
        return token

    def whole(self) -> Condition:
        found = self.any()
        if self.here.kind != "end":
            _wrong(self.text, self.here.at, f"'{self.here.text}' is not expected here")
        return self.condition(found)

    def any(self) -> Figure | Condition:
        left = self.all()
        while token := self.taken("or"):
            left = Joined(self.condition(left, token), "or", self.condition(self.all()))
        return left

    def all(self) -> Figure | Condition:
        left = self.comparison()
        while token := self.taken("and"):
            left = Joined(self.condition(left, token), "and", self.condition(self.comparison()))
        return left

    def comparison(self) -> Figure | Condition:
        left = self.sum()
        token = self.taken(*COMPARED)
        if token is None:
            return left
        found = Comparison(self.figure(left, token), token.text, self.figure(self.sum(), token), token.at)
        if again := self.taken(*COMPARED):
            _wrong(self.text, again.at, "a comparison has two sides; join two with 'and'")
        return found

    def sum(self) -> Figure | Condition:
        left = self.product()
        while token := self.taken("+", "-"):
            left = Arithmetic(self.figure(left, token), token.text, self.figure(self.product(), token), token.at)
        return left

    def product(self) -> Figure | Condition:
        left = self.factor()
        while token := self.taken("*", "/"):
            left = Arithmetic(self.figure(left, token), token.text, self.figure(self.factor(), token), token.at)
        return left

    def factor(self) -> Figure | Condition:
        token = self.here
        if self.depth >= DEEPEST:
            _wrong(self.text, token.at, f"more than {DEEPEST} parentheses or minus signs lie in each other")
        self.next += token.kind != "end"
        if token.kind == "number":
            value = float(token.text)
            return Number(value, token.at) if math.isfinite(value) else _wrong(self.text, token.at, "it is too large")
        if token.kind == "name" and token.text not in ("and", "or"):
            return Name(token.text, token.at)
        self.depth += 1
        try:
            if token.text == "-":
                return Negative(self.figure(self.factor(), token), token.at)
            if token.text == "(":
                found = self.any()
                if self.taken(")") is None:
                    _wrong(self.text, self.here.at, f"the parenthesis of character {token.at} is not closed here")
                return found
        finally:
            self.depth -= 1
        what = (
            "a measure or a number is missing at its end"
            if token.kind == "end"
            else f"'{token.text}' stands for no figure"
        )
        _wrong(self.text, token.at, what)

    def figure(self, found: Figure | Condition, mark: Token) -> Figure:
        if isinstance(found, Comparison | Joined):
            _wrong(self.text, mark.at, f"'{mark.text}' is of figures, and beside it is a comparison")
        return found

    def condition(self, found: Figure | Condition, at: Token | None = None) -> Condition:
        if not isinstance(found, Comparison | Joined):
            _wrong(self.text, (at or self.here).at, "a comparison is missing: < <= > >= == or !=")
        return found


def _collect(node: Figure | Condition, found: dict[str, int]) -> None:
    match node:
        case Name(name=name, at=at):
            found.setdefault(name, at)
        case Negative(of=of):
            _collect(of, found)
        case Arithmetic() | Comparison() | Joined():
            _collect(node.left, found)
            _collect(node.right, found)


def _met(node: Condition, values: Mapping[str, float], text: str) -> bool:
    """Both sides are looked at in any case: a measure that is missing is not passed over."""
    if isinstance(node, Comparison):
        return COMPARED[node.mark](_value(node.left, values, text), _value(node.right, values, text))
    sides = _met(node.left, values, text), _met(node.right, values, text)
    return all(sides) if node.word == "and" else any(sides)


def _value(node: Figure, values: Mapping[str, float], text: str) -> float:
    match node:
        case Number(value=value):
            return value
        case Negative(of=of):
            return -_value(of, values, text)
        case Name(name=name, at=at):
            if name not in values:
                raise _unanswered(text, at, f"'{name}' was not measured")
            found = values[name]
        case Arithmetic(mark=mark, at=at):
            left, right = _value(node.left, values, text), _value(node.right, values, text)
            if mark == "/" and right == 0:
                raise _unanswered(text, at, "it divides by zero")
            found = ARITHMETIC[mark](left, right)
    if not math.isfinite(found):
        raise _unanswered(text, at, "the figure is past all numbers")
    return found


def _unanswered(text: str, at: int, what: str) -> EvaluationError:
    return EvaluationError(
        f"{_place(text, at)}: {what}, so nobody can say whether the gate holds",
        "Correct evaluation.fail_if. Scores need held-out rows that have an answer.",
        UNANSWERED,
    )
