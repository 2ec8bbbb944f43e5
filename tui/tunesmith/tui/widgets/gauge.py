"""A named bar with its figure and a sentence on what it means."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
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
        return self._drawn(self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._drawn(width).plain.count("\n") + 1

    def _drawn(self, width: int) -> Content:
        """Lines of at most `width` cells; those of the meaning begin below the figure, where there is room for that."""
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
        lines = Content.assemble(*parts).wrap(max(1, width))
        if self.meaning:
            indent = 0 if narrow else NAME_CELLS
            meaning = Content.styled(self.meaning, "$foreground 60%").wrap(max(1, width - indent))
            lines += [line.pad_left(indent) for line in meaning]
        return Content("\n").join(lines)
