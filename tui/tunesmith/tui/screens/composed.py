"""Whether the parts of a screen can be drawn: they come and go one after the other, while others still tell it news."""

from __future__ import annotations

from textual.dom import DOMNode


def composed(screen: DOMNode, *parts: str) -> bool:
    """None or some are there while it is taken away, or composed again in another language."""
    return all(screen.query(part) for part in parts)
