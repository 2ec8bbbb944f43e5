"""What an answer must be, as a grammar in GBNF: JSON of a schema, with or without marks around it."""

from __future__ import annotations

import json
import re
from typing import Any

from tunesmith.daemon.worker.engines import Form
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.errors import ModelError

LARGEST = 200_000  # characters of a grammar: what a schema of the size we take can become
DEEPEST = 1000  # optional repetitions within each other: llama.cpp reads them on its stack
WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, RecursionError, re.error)


def of_schema(schema: dict[str, Any]) -> str:
    """Raises ModelError for a schema that has no grammar."""
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        with bounds.section():  # a count in a schema is written out as often as it says
            text = str(json_schema_to_gbnf(json.dumps(schema)))
    except bounds.TOO_MUCH as error:
        raise ModelError("This JSON schema takes too much time or memory", "Make it simpler.", "schema") from error
    except WRONG as error:
        raise ModelError(
            f"This JSON schema cannot be followed: {error!r}"[:300], "Make it simpler.", "schema"
        ) from error
    if len(text) > LARGEST or ")?" * DEEPEST in text:
        raise ModelError("This JSON schema makes too large a grammar", "Make it simpler.", "schema")
    return text


def of(form: Form) -> str:
    """Raises ModelError for a schema that has no grammar."""
    text = of_schema(form.schema)
    if not (form.before or form.after):
        return text
    renamed = re.sub(r"^root ::=", "between-marks ::=", text, flags=re.MULTILINE)
    return f"{renamed}\nroot ::= {json.dumps(form.before)} between-marks {json.dumps(form.after)}"
