"""Text from models, files and libraries made harmless for a terminal: no escape sequence or control survives."""

from __future__ import annotations

import re

# CSI, OSC (titles, links, clipboard), DCS/PM/APC strings, then any other two-character escape.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]?"
)
# C0 but line end and tab, DEL, C1, and the marks that reorder or hide what a person reads.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def plain(text: str) -> str:
    """`text` with line ends and tabs only; a line rewritten with carriage returns keeps its last state."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    if "\r" in text:
        text = "\n".join(next((part for part in reversed(line.split("\r")) if part), "") for line in text.split("\n"))
    return _CONTROLS.sub("", text).expandtabs(4)


def one_line(text: str) -> str:
    """`text` on one line."""
    return " ".join(plain(text).split())
