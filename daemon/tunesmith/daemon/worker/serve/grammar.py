"""What an answer must be, as a grammar in GBNF: any JSON object, JSON of a schema, or a call of one of some tools."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from tunesmith.daemon.worker.serve.calls import CallForm
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.errors import ModelError

ANY_OBJECT: dict[str, Any] = {"type": "object"}
LARGEST = 200_000  # characters of a grammar: what a schema of the size we take can become
DEEPEST = 1000  # optional repetitions within each other: llama.cpp reads them on its stack
WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, RecursionError, re.error)


def of_schema(schema: dict[str, Any]) -> str:
    """Raises ModelError for a schema that has no grammar."""
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        with bounds.section():  # a count in a schema is written out as often as it says
            text = str(json_schema_to_gbnf(json.dumps(schema or ANY_OBJECT)))
    except bounds.TOO_MUCH as error:
        raise ModelError("This JSON schema takes too much time or memory", "Make it simpler.", "schema") from error
    except WRONG as error:
        raise ModelError(
            f"This JSON schema cannot be followed: {error!r}"[:300], "Make it simpler.", "schema"
        ) from error
    if len(text) > LARGEST or ")?" * DEEPEST in text:
        raise ModelError("This JSON schema makes too large a grammar", "Make it simpler.", "schema")
    return text


def of_call(tools: Sequence[dict[str, Any]], form: CallForm) -> str:
    """One call of one of `tools`, with arguments as its parameters say, between the marks of `form`."""
    calls = [
        {
            "type": "object",
            "properties": {
                form.name_key: {"const": tool["function"]["name"]},
                form.arguments_key: tool["function"].get("parameters") or ANY_OBJECT,
            },
            "required": [form.name_key, form.arguments_key],
        }
        for tool in tools
    ]
    text = of_schema(calls[0] if len(calls) == 1 else {"anyOf": calls})
    renamed = re.sub(r"^root ::=", "a-call ::=", text, flags=re.MULTILINE)
    return f"{renamed}\nroot ::= {json.dumps(form.open)} a-call {json.dumps(form.close)}"
