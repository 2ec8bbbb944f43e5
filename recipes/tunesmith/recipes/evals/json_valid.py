"""JSON: the whole answer is one JSON document; with a schema after the colon, one that the schema accepts.

White space and one Markdown fence around it are allowed, as models are used to write one. JSON is strict: NaN,
Infinity and two members of one name are none. A schema is read by its `$schema`, else as draft 2020-12; one that
refers to another file or address is refused: nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import DataError, RecipeError
from tunesmith.recipes.evals import Eval, Scorer
from tunesmith.recipes.possible_path import resolved

FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?```", re.DOTALL | re.IGNORECASE)


def open_scorer(argument: str) -> Scorer:
    accepts = schema(Path(argument)) if argument else lambda document: True

    def score(answer: str, row: HeldOutRow) -> float:
        try:
            document = decoded(unfenced(answer))
        except (ValueError, RecursionError):  # what is no JSON, or nested too deeply, is what is counted here
            return 0.0
        return float(accepts(document))

    return Scorer(score)


def unfenced(answer: str) -> str:
    fenced = FENCE.fullmatch(answer.strip())
    return fenced[1] if fenced else answer


def decoded(text: str) -> Any:
    """Raises ValueError for what RFC 8259 does not allow, or leaves open."""
    import json

    def no_constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("two members have one name")
        return found

    return json.loads(text, parse_constant=no_constant, object_pairs_hook=members)


def schema(path: Path) -> Callable[[Any], bool]:
    """Whether a document suits the schema in this file. Raises DataError for a file that is no schema."""
    import json

    import jsonschema_rs

    try:
        found = json.loads(path.read_text("utf-8"))
        validator = jsonschema_rs.validator_for(found, offline=True)
    except OSError as error:
        raise DataError(f"The JSON schema {path} cannot be read: {error}", "Correct `json:FILE`.") from error
    except ValueError as error:  # that of json and jsonschema_rs's ValidationError alike
        raise DataError(f"{path} is no JSON schema: {error}", "Correct the file, or leave the schema out.") from error
    return lambda document: bool(validator.is_valid(document))


def check(argument: str) -> None:
    if argument and not argument.endswith(".json"):
        raise RecipeError(f"evaluation.scores has 'json:{argument}'", "Give json:FILE.json, a JSON schema, or json.")


CARD = Eval(
    key="json",
    title="JSON",
    blurb="The answer is one valid JSON document; with `json:schema.json`, one that suits the schema.",
    open=open_scorer,
    proportion=True,
    argument="SCHEMA.json",
    check=check,
    located=resolved,
)
