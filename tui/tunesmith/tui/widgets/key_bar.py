"""The footer: the keys that work now, their texts in the current language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import ActiveBinding, Binding
from textual.events import MouseDown, MouseMove
from textual.reactive import reactive
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tunesmith.tui.texts import shown

# For windows over the frame, which the app's own keys do not reach; ctrl+g also while one types.
HELP = Binding("question_mark,ctrl+g", "app.help", "keys.help", key_display="?")


class ShownKey(msgspec.Struct, frozen=True):
    """One key of the bar, which draws it as ` display text `."""

    key: str
    display: str
    text: str
    action: str
    enabled: bool
    tooltip: str

    @property
    def cells(self) -> int:
        return cell_len(self.display) + cell_len(self.text) + 3


class KeyBar(Widget, can_focus=False):
    """Whole keys only, of each action the shortest; descriptions that are text keys (`keys.back`) are translated.

    One widget that draws a line, not Textual's footer of a dozen: those are made anew at every step of the wizard,
    which took a third of the time in which a key is answered.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {"key-bar--key", "key-bar--text", "key-bar--under-pointer"}
    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        height: 1;
        color: $footer-foreground;
        background: $footer-background;
        .key-bar--key {
            color: $footer-key-foreground;
            background: $footer-key-background;
            text-style: bold;
        }
        .key-bar--text {
            color: $footer-description-foreground;
            background: $footer-description-background;
        }
        .key-bar--under-pointer {
            color: $footer-key-foreground;
            background: $block-hover-background;
        }
    }
    """

    keys: reactive[tuple[ShownKey, ...]] = reactive((), init=False)
    under_pointer: reactive[ShownKey | None] = reactive(None, init=False)

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self.bindings_changed)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def bindings_changed(self, screen: Screen[Any]) -> None:
        """Also in a window that is not in front, which a page in a browser is not until it is clicked."""
        if self.is_attached and screen is self.screen:
            self.keys = tuple(self._fitting(_keys(screen)))

    def on_resize(self) -> None:
        self.bindings_changed(self.screen)

    def render_line(self, y: int) -> Strip:
        around = self.rich_style
        segments = [segment for key in self.keys for segment in self._drawn(key)]
        return Strip(segments).adjust_cell_length(self.size.width, around)

    def _drawn(self, key: ShownKey) -> Iterator[Segment]:
        if key is self.under_pointer:
            of_key = of_text = self.get_component_rich_style("key-bar--under-pointer")
        else:
            of_key, of_text = (self.get_component_rich_style(f"key-bar--{part}") for part in ("key", "text"))
        off = Style.null() if key.enabled else Style(dim=True)
        yield Segment(f" {key.display} ", of_key + off)
        yield Segment(f"{key.text} ", of_text + off)

    def at(self, x: int) -> ShownKey | None:
        """The key in column `x` of the bar."""
        for key in self.keys:
            x -= key.cells
            if x < 0:
                return key
        return None

    def on_mouse_move(self, event: MouseMove) -> None:
        self.under_pointer = self.at(event.x)

    def on_leave(self) -> None:
        self.under_pointer = None

    def watch_under_pointer(self, key: ShownKey | None) -> None:
        self.tooltip = key.tooltip or None if key else None
        self.styles.pointer = "pointer" if key else "default"

    def on_mouse_down(self, event: MouseDown) -> None:
        key = self.at(event.x)
        if key and key.enabled:
            self.app.simulate_key(key.key)
        elif key:
            self.app.bell()

    def _fitting(self, keys: list[ShownKey]) -> Iterator[ShownKey]:
        """As many as there is room for; the help, which has all of them, always."""
        room = self.screen.size.width - sum(key.cells for key in keys if _is_help(key))
        for key in keys:
            if not _is_help(key):
                if key.cells > room:
                    room = 0  # those after it are wanted less
                    continue
                room -= key.cells
            yield key


def _keys(screen: Screen[Any]) -> list[ShownKey]:
    shortest: dict[str, ActiveBinding] = {}
    for active in screen.active_bindings.values():
        other = shortest.get(active.binding.action)
        if active.binding.show and (other is None or len(active.binding.key) < len(other.binding.key)):
            shortest[active.binding.action] = active
    return [
        ShownKey(
            binding.key,
            screen.app.get_key_display(binding),
            shown(binding.description),
            binding.action,
            enabled,
            tooltip,
        )
        for _, binding, enabled, tooltip in shortest.values()
    ]


def _is_help(key: ShownKey) -> bool:
    return key.action in ("help", HELP.action)
