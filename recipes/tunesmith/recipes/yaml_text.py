"""YAML that a person or a file says, decoded within bounds: a few lines of it can stand for more than memory holds."""

from __future__ import annotations

from typing import Any

import msgspec

from tunesmith.recipes.errors import RecipeError

MOST_CHARACTERS = 256 * 1024  # a recipe has a few thousand
MOST_VALUES = 20_000  # once aliases are written out
LONG_TEXT = 64  # characters that count as one more value
DEEPEST = 40  # lists and mappings inside each other


def decoded(text: str, what: str = "The recipe") -> Any:
    """The value that `text` is; `what` is what errors call it. Raises RecipeError. Tags make no objects."""
    hint = "Check the indentation at that line."
    if len(text) > MOST_CHARACTERS:
        raise RecipeError(f"{what} is {len(text):,} characters long", f"Give at most {MOST_CHARACTERS:,}.")
    try:
        refuse_large(text, what)
        return msgspec.yaml.decode(text)
    except msgspec.DecodeError as error:
        raise RecipeError(f"{what} is not valid YAML: {error}", hint) from error
    except (ValueError, OverflowError, RecursionError) as error:  # a date or number that is none
        raise RecipeError(f"{what} has a value that cannot be read: {error}", "Put it in quotation marks.") from error


def refuse_large(text: str, what: str) -> None:
    """Count the values of `text` as if every alias was written out, from its events alone. Raises RecipeError."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    sizes: dict[str, int] = {}
    open_ones: list[tuple[str | None, int]] = [(None, 0)]
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionStartEvent):
                open_ones.append((event.anchor, 1))
                size = 0
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, size = open_ones.pop()
                sizes |= {anchor: size} if anchor else {}
            elif isinstance(event, yaml.ScalarEvent):
                size = 1 + len(event.value) // LONG_TEXT
                sizes |= {event.anchor: size} if event.anchor else {}
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in sizes:
                    raise RecipeError(f"{what} has {event.anchor!r} stand within itself", "Write the value out.")
                size = sizes[event.anchor]
            else:
                continue
            outer, before = open_ones[-1]
            open_ones[-1] = outer, before + size
            if before + size > MOST_VALUES or len(open_ones) > DEEPEST:
                raise RecipeError(f"{what} stands for too many values, or nests them too deeply", "Write fewer.")
    except yaml.YAMLError as error:
        raise RecipeError(f"{what} is not valid YAML: {error}", "Check the indentation at that line.") from error
