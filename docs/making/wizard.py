"""docs/wizard.md and its translation: a template for each language, with tables of keys as the screens have them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from making.pictures import FOLDER, Taken

HERE = Path(__file__).parent
MADE = "<!-- Made by `python docs/make.py` from docs/making/{name}; the pictures and keys are the wizard's own. -->"
# The keys that all of these have are told once.
STEPS = ("machine", "goal", "model", "own-data", "recipe", "run", "result")


def pages(taken: Sequence[Taken]) -> Iterator[tuple[Path, str]]:
    for language in dict.fromkeys(one.language for one in taken):
        keys = {one.name: one.keys for one in taken if one.language == language}
        everywhere = [line for line in keys["machine"] if all(line in keys[step] for step in STEPS)]
        tables = {"everywhere": _table(everywhere, language)}
        tables |= {
            name: _table([line for line in lines if line not in everywhere], language) for name, lines in keys.items()
        }
        template = f"wizard.{language}.md"
        text = (HERE / template).read_text("utf-8").replace("{made}", MADE.format(name=template))
        yield _page(language), re.sub(r"\{keys:([a-z-]+)\}", lambda found, tables=tables: tables[found[1]], text)


def _page(language: str) -> Path:
    return FOLDER.parent / ("wizard.md" if language == "en" else f"wizard.{language}.md")


def _table(lines: Sequence[tuple[str, str]], language: str) -> str:
    head = "| key | what it does |" if language == "en" else "| 按键 | 作用 |"
    rows = [f"| {' '.join(f'`{key}`' for key in keys.split())} | {text} |" for keys, text in lines]
    return "\n".join([head, "|---|---|", *rows])
