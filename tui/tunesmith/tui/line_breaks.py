"""Where lines may break: between Chinese characters too, but not before a mark that closes or behind one that opens.

Rich, and Textual with it, break at spaces only: a Chinese sentence is one word, which leaves the line before it empty.
Source of the rule: Unicode Standard Annex 14, classes ID, CL and OP, for the marks that our texts use.
"""

from __future__ import annotations

import re

import rich._wrap

IDEOGRAPHS = "\u2e80-\u2fff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
OPENING = "（《「『【〔〈“‘"
CLOSING = "，。、；：？！）》」』】〕〉”’…％"
# A word with its spaces: one ideograph or a run of anything else, with the marks that belong to it.
WORD = re.compile(
    rf"\s*(?=\S)[{OPENING}]*(?:[{IDEOGRAPHS}]|[^\s{IDEOGRAPHS}{OPENING}{CLOSING}]+)?[{CLOSING}]*\s*"
)  # fmt: skip


def between_ideographs() -> None:
    """From here on Rich wraps by WORD in this process."""
    rich._wrap.re_word = WORD
