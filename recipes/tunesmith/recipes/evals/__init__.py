"""Scorers: how good an answer is against the expected one. One file a card; a recipe names `key` or `key:argument`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import RecipeError, nearest

OWN_CODE = "python"  # the card whose scorers are the person's own code


class WholeSet(msgspec.Struct, frozen=True):
    """A measure that is no mean over the rows: `counts` of each row are added up, `value` is made of the sums."""

    counts: Callable[[str, HeldOutRow], tuple[float, ...]]
    value: Callable[[Sequence[float]], float]


class Scorer(msgspec.Struct, frozen=True):
    """`score` of one answer to one row. The figure is the mean of these, or what `whole` makes of the set."""

    score: Callable[[str, HeldOutRow], float]
    whole: WholeSet | None = None


def no_argument(argument: str) -> None:
    if argument:
        raise RecipeError(f"This score takes nothing after its name, but has '{argument}'", "Leave it out.")


def as_given(argument: str, folder: Path) -> str:
    return argument


class Eval(msgspec.Struct, frozen=True):
    """Scores go from 0 to `top`, higher is better; of a `proportion` each is 0 or `top`.

    `open(argument)` gives the scorer, in a worker: libraries and the person's files are loaded there. Before, `check`
    raises RecipeError for an argument that cannot be right, and `located` makes the paths in it absolute. `argument`
    names what may stand after the colon; `name` is what the measure is called, for gates and tables.
    """

    key: str
    title: str
    blurb: str
    open: Callable[[str], Scorer]
    top: float = 1.0
    proportion: bool = False
    argument: str = ""
    check: Callable[[str], None] = no_argument
    located: Callable[[str, Path], str] = as_given
    name: Callable[[str], str] | None = None


@cache
def cards() -> Mapping[str, Eval]:
    return catalog.load(__name__, Eval)


def find(score: str) -> tuple[Eval, str]:
    """The card and argument of a score such as `chrf`, `regex:^\\d+$` or `scorer.py:function`. Raises RecipeError."""
    key, _, argument = score.partition(":")
    if key in cards() and key != OWN_CODE:
        return cards()[key], argument
    if score.rpartition(":")[0].endswith(".py"):
        return cards()[OWN_CODE], score
    if score.endswith(".py"):
        raise RecipeError(f"'{score}' does not say which function scores", f"Give '{score}:FUNCTION'.")
    known = [*(key for key in cards() if key != OWN_CODE), "scorer.py:FUNCTION"]
    raise RecipeError(f"evaluation.scores has no '{score}'", nearest(key, known))


def name_of(score: str) -> str:
    """What the measure is called: the card's key, or the function of the person's own file."""
    card, argument = find(score)
    return card.key if card.name is None else card.name(argument)


def located(score: str, folder: Path) -> str:
    """`score` with paths in it absolute against `folder`; one that is unknown as it is, for `check` to refuse."""
    try:
        card, argument = find(score)
    except RecipeError:
        return score
    there = card.located(argument, folder) if argument else ""
    return there if card.key == OWN_CODE else f"{card.key}:{there}" if there else score


def own_code(scores: Sequence[str]) -> list[str]:
    """The files among `scores` that are the person's own code, each once."""
    found = (find(score) for score in scores)
    return list(dict.fromkeys(argument.rpartition(":")[0] for card, argument in found if card.key == OWN_CODE))
