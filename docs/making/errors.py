"""docs/errors.md: every error code with what it means, what to do, and the sentences that come with it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from making.raised import Raised, raised

EXPLANATIONS = Path(__file__).parents[2] / "tui/tunesmith/tui/texts/explained/en.toml"
TITLES = {
    "recipe": "The recipe", "data": "Data", "model": "Models", "hub": "Hubs and downloads", "machine": "The machine",
    "daemon": "The daemon", "job": "Runs", "verification": "Exports", "evaluation": "Evaluation", "chat": "Chat",
    "serving": "Serving", "api": "The daemon's API", "other": "Everything else",
}  # fmt: skip
SENTENCES_SHOWN = 6  # of a code: the rest says the same of other things
INTRODUCTION = """\
# Errors, and what to do next

<!-- Made by `python docs/make.py` from the code that raises and tui/tunesmith/tui/texts/explained/en.toml. -->

An error is a sentence, a hint and a code. Commands write the first two to standard error; with `--json` the last line
of standard output has all three:

```json
{"error": {"code": "data_missing", "message": "...", "hint": "..."}}
```

The code stays the same from version to version; sentences may change. The wizard shows sentence and hint where they
arise. A command ends with 0 when all went well, 1 when there is something that you can mend, 2 for a fault of ours or a
wrong option, and 130 after ctrl-c. In the sentences below `…` stands for a name or a number.
"""


def explanations() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """By part of the page: code, (meaning, next step)."""
    return tomllib.loads(EXPLANATIONS.read_text("utf-8"))


def markdown() -> str:
    found: dict[str, list[Raised]] = {}
    for one in raised():
        found.setdefault(one.code, []).append(one)
    parts = [INTRODUCTION]
    for part, codes in explanations().items():
        parts.append(f"## {TITLES[part]}\n")
        for code, (meaning, way_on) in codes.items():
            parts.append(f"### `{code}`\n\n{meaning}\n\n**Next:** {way_on}\n")
            if said := list(_sentences(found.get(code, []))):
                parts.append("\n".join(said) + "\n")
    return "\n".join(parts)


def _sentences(found: list[Raised]) -> Iterator[str]:
    """Each once, with its hint; those that are made of values alone say nothing here."""
    told = dict.fromkeys((one.message, one.hint) for one in found if one.message.strip("….,: ()"))
    for message, hint in list(told)[:SENTENCES_SHOWN]:
        hint = f" *{_escaped(hint)}*" if hint.strip("… ") else ""
        yield f"- {_escaped(message).rstrip('.')}.{hint}"


def _escaped(text: str) -> str:
    """Markdown's own marks as they are, but in code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return text.replace("`", "\\`").replace("*", "\\*").replace("_", "\\_").replace("<", "\\<")
    outside = [p.replace("*", "\\*").replace("_", "\\_").replace("<", "\\<") for p in parts[::2]]
    parts[::2] = outside
    return "`".join(parts)
