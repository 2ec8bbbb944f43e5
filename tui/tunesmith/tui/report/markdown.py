"""A report as Markdown, its pictures as SVG files beside it; nothing that a text says is read as markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from tunesmith.tui.report.blocks import Block, Code, Heading, Paragraph, Picture, Table

_SPECIAL = re.compile(r"([\\`*_\[\]<>|&~$])")  # begins emphasis, code, links, cells, HTML, formulas
_AT_START = re.compile(r"^(\s*\d*)([#+=.)-])")  # headings, lists and rules, at the start of a line only


def markdown(blocks: Sequence[Block], stem: str, footer: str) -> str:
    """`stem` is what the names of the pictures begin with."""
    return "\n\n".join([*(_block(block, stem) for block in blocks), "---", escaped(footer)]) + "\n"


def picture_name(stem: str, picture: Picture) -> str:
    return f"{stem}-{picture.name}.svg"


def _block(block: Block, stem: str) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escaped(' '.join(block.text.split()))}"
        case Paragraph():
            text = "  \n".join(_AT_START.sub(r"\1\\\2", escaped(line)) for line in block.text.splitlines())
            return f"{block.mark} {text}" if block.mark else text
        case Table():
            return _table(block)
        case Picture():
            return f"![{escaped(block.said)}]({quote(picture_name(stem, block))})"
        case Code():
            return _code(block)


def _table(table: Table) -> str:
    rule = ("---:" if column in table.figures else "---" for column in range(len(table.head)))
    return "\n".join([_row(table.head), f"| {' | '.join(rule)} |", *map(_row, table.rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join('<br>'.join(escaped(line) for line in cell.splitlines()) or ' ' for cell in cells)} |"


def _code(code: Code) -> str:
    """The fence is longer than any run of backticks within."""
    longest = max(map(len, re.findall("`+", code.text)), default=0)
    fence = "`" * max(3, longest + 1)
    block = f"{fence}{code.language}\n{code.text.rstrip()}\n{fence}"
    return f"**{escaped(code.title)}**\n\n{block}" if code.title else block


def escaped(text: str) -> str:
    """Text that says itself in Markdown, but for how a line begins."""
    return _SPECIAL.sub(r"\\\1", text)
