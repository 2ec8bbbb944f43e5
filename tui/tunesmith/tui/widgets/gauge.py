"""A named bar with its figure and a sentence on what it means."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

BAR_CELLS = 14
NAME_CELLS = 9
NARROW_COLUMNS = 60  # of the terminal; below, no room for bar and indent


class Gauge(Widget):
    """`share` from 0 to 1 is what is used; None draws no bar, for facts without a measure. `meaning` may have lines."""

    share: reactive[float | None] = reactive(None)
    figure = reactive("")
    meaning = reactive("", layout=True)  # its lines come and go

    def __init__(self, name: str, figure: str, meaning: str = "", share: float | None = None) -> None:
        super().__init__()
        self.label = name
        self.set_reactive(Gauge.figure, figure)
        self.set_reactive(Gauge.meaning, meaning)
        self.set_reactive(Gauge.share, share)

    def render(self) -> Content:
        narrow = self.app.size.width < NARROW_COLUMNS
        name = Content(self.label)
        parts: list[Content | str | tuple[str, str]] = [
            name.stylize("bold"),
            " " * max(1, NAME_CELLS - name.cell_length),
        ]
        if self.share is not None and not narrow:
            filled = round(min(1.0, max(0.0, self.share)) * BAR_CELLS)
            colour = "$success" if self.share < 0.7 else "$warning" if self.share < 0.9 else "$error"
            parts += [("━" * filled, colour), ("─" * (BAR_CELLS - filled), "$foreground 30%"), "  "]
        parts.append(self.figure)
        if self.meaning:
            indent = "\n" + ("" if narrow else " " * NAME_CELLS)
            parts.append((indent + self.meaning.replace("\n", indent), "$foreground 60%"))
        return Content.assemble(*parts)
