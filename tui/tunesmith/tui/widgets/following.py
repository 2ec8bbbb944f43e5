"""A scrolling container that stays at its end while the person has not scrolled away from it."""

from __future__ import annotations

from textual import events
from textual.containers import VerticalScroll


class Following(VerticalScroll):
    """Short content stays at the top, where Textual's own anchor lets it sink; longer content shows its end."""

    DEFAULT_CSS = """
    Following { scrollbar-size-vertical: 1; }
    Following > Static { height: auto; }
    """

    at_end = True  # until the person scrolls away, however much comes meanwhile

    def on_resize(self, event: events.Resize) -> None:
        """There are fewer lines to show it in, or more."""
        if self.at_end:
            self.follow_end()

    def watch_virtual_size(self) -> None:
        """There is more of it, and it is laid out."""
        if self.at_end:
            self.follow_end()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.at_end = self.scroll_target_y >= self.max_scroll_y - 1

    def follow_end(self) -> None:
        """From now on, also where the person had scrolled away."""
        self.at_end = True
        self.scroll_end(animate=False, immediate=True)
