"""The last look at every line that the wizard draws: text of others may still hold what steers a terminal."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tunesmith.tui.plain import harmless


class HarmlessLines(LineFilter):
    """Takes controls out of what is drawn; they have no width, so nothing moves."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.control or (clean := harmless(segment.text)) == segment.text
            else Segment(clean, segment.style)
            for segment in segments
        ]
