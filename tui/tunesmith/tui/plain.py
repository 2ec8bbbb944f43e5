"""Text from models, files and libraries made harmless for a terminal: no escape sequence or control survives.

`plain` and `one_line` are for text that is shown; `harmless` is the last look at what a terminal is sent, and
`for_json` at JSON, where nothing may be lost; `well_formed` is for text that is sent on or kept.
"""

from __future__ import annotations

import re

# CSI, OSC (titles, links, clipboard), DCS/PM/APC strings, then any other two-character escape.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]?"
)
# What steers a terminal: C0 but line end and tab, DEL, C1.
_STEERING = "\x00-\x08\x0b-\x1f\x7f-\x9f"
# What reorders or hides what a person reads: marks of direction, spaces without width, tags, halves of characters.
_MISLEADING = (
    "\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff"
)
_CONTROLS = re.compile(f"[{_STEERING}{_MISLEADING}]")
_IN_JSON = re.compile(f"[\x7f-\x9f{_MISLEADING}]")
# Accents stand on one letter by twos and threes; a hundred of them are drawn over the lines above and below.
_ACCENTS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
_FLOOD = re.compile(f"({_ACCENTS}{{8}}){_ACCENTS}+")


def plain(text: str) -> str:
    """`text` with line ends and tabs only; a line rewritten with carriage returns keeps its last state."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    if "\r" in text:
        text = "\n".join(next((part for part in reversed(line.split("\r")) if part), "") for line in text.split("\n"))
    return harmless(text).expandtabs(4)


def one_line(text: str) -> str:
    """`text` on one line."""
    return " ".join(plain(text).split())


def harmless(text: str) -> str:
    """`text` without controls, line ends and tabs kept; what takes room on a terminal stays, so that layouts stand."""
    if text.isascii() and text.isprintable():
        return text
    return _FLOOD.sub(r"\1", _CONTROLS.sub("", text))


def for_json(text: str) -> str:
    """JSON with the characters as escapes that its own rules let through and a terminal obeys; it means the same."""
    return text if text.isascii() and "\x7f" not in text else _IN_JSON.sub(_escaped, text)


def well_formed(text: str) -> str:
    """`text` as it can be sent and stored: bytes that a terminal or a file's name could not say are `\ufffd`."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
