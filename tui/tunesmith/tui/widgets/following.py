"""A scrolling container that stays at its end while the person has not scrolled away from it."""

from __future__ import annotations

from textual import events
from textual.containers import VerticalScroll
from textual.widgets import Static


class Following(VerticalScroll):
    """Short content stays at the top; longer content shows its end."""

    DEFAULT_CSS = """
    Following { scrollbar-size-vertical: 1; }
    Following > Static { height: auto; }
    """

    _height = 0
    _due = False  # on its way to the end

    def on_resize(self, event: events.Resize) -> None:
        """Lines that another widget takes are taken from the top."""
        lost, self._height = max(0, self._height - event.size.height), event.size.height
        if lost and (self._due or self.scroll_target_y >= self.max_scroll_y - 1 - lost):
            self.follow_end()

    @property
    def at_end(self) -> bool:
        return self._due or self.scroll_target_y >= self.max_scroll_y - 1

    def follow_end(self) -> None:
        """Call after a change of content that was made while `at_end`."""
        self._due = True
        self.call_after_refresh(self.scroll_end, animate=False, on_complete=self._arrived)

    def _arrived(self) -> None:
        """By now it can have grown again."""
        self._due = False
        if self.scroll_target_y < self.max_scroll_y:
            self.scroll_end(animate=False, immediate=True)

    def replace(self, static: Static, content: object) -> None:
        """Update `static` and stay at the end if there."""
        at_end = self.at_end
        static.update(content)  # type: ignore[arg-type]
        if at_end:
            self.follow_end()
