"""Knobs: a value declared once on a card, drawn anywhere (wizard, --set, JSON schema, reference page)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from tunesmith.recipes.errors import RecipeError, nearest


class IntField(msgspec.Struct, frozen=True, tag=True):
    name: str
    default: int
    minimum: int
    maximum: int
    help: str

    def check(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.minimum <= value <= self.maximum:
            raise RecipeError(
                f"{self.name} is {value!r}", f"Give a whole number from {self.minimum} to {self.maximum}."
            )
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


class FloatField(msgspec.Struct, frozen=True, tag=True):
    name: str
    default: float
    minimum: float
    maximum: float
    help: str

    def check(self, value: object) -> float:
        if isinstance(value, str):  # YAML reads 1e-4 (no dot) as text
            try:
                value = float(value)
            except ValueError as error:
                raise RecipeError(f"{self.name} is {value!r}", "Give a number, for example 2.0e-4.") from error
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not self.minimum <= value <= self.maximum:  # type: ignore[arg-type, operator]
            raise RecipeError(f"{self.name} is {value!r}", f"Give a number from {self.minimum:g} to {self.maximum:g}.")
        return float(value)  # type: ignore[arg-type]

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}


class ChoiceField(msgspec.Struct, frozen=True, tag=True):
    name: str
    default: str
    choices: tuple[str, ...]
    help: str

    def check(self, value: object) -> str:
        if value not in self.choices:
            raise RecipeError(f"{self.name} is {value!r}", nearest(str(value), self.choices))
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices)}


class FlagField(msgspec.Struct, frozen=True, tag=True):
    name: str
    default: bool
    help: str

    def check(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise RecipeError(f"{self.name} is {value!r}", "Give true or false.")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


Field = IntField | FloatField | ChoiceField | FlagField


def fill(where: str, fields: tuple[Field, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` checked against `fields`, defaults filled in, in field order; unknown names are refused."""
    by_name = {field.name: field for field in fields}
    for name in given:
        if name not in by_name:
            raise RecipeError(f"{where} has no key '{name}'", nearest(name, by_name))
    return {name: field.check(given.get(name, field.default)) for name, field in by_name.items()}


def schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    """JSON schema properties of `fields`."""
    return {field.name: field.schema() | {"default": field.default, "description": field.help} for field in fields}
