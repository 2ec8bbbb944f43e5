"""Lines under each other that change many times a minute: all is laid out anew only where their number changes."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget


class LineStack(Widget):
    """As high as its lines are many. A reactive of a subclass calls `changed` from its watcher."""

    DEFAULT_CSS = """
    LineStack { height: auto; }
    """

    def lines(self, width: int) -> list[Content]:
        """At most `width` cells each."""
        raise NotImplementedError

    def changed(self) -> None:
        here = self.content_size
        self.refresh(layout=len(self.lines(here.width)) != here.height)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines(width))

    def render(self) -> Content:
        return Content("\n").join(self.lines(self.content_size.width))
