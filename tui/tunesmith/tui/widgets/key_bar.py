"""The footer: the keys that work now, their texts in the current language."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from tunesmith.tui.texts import shown

FooterKeyText = tuple[Binding, str, bool, str]
# For windows over the frame, which the app's own keys do not reach; ctrl+g also while one types.
HELP = Binding("question_mark,ctrl+g", "app.help", "keys.help", key_display="?")


class KeyBar(Footer):
    """Textual's footer with whole keys only; descriptions that are text keys (`keys.back`) are translated."""

    _shown: tuple[FooterKeyText, ...] = ()

    def compose(self) -> ComposeResult:
        self._shown = self._keys()
        for binding, text, disabled, tooltip in self._shown:
            key = FooterKey(
                binding.key, self.app.get_key_display(binding), text, binding.action, disabled=disabled, tooltip=tooltip
            )
            yield key.data_bind(compact=Footer.compact)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Made anew only when a key came, went or changed: a live screen asks ten times a second.

        Also in a window that is not in front, which a page in a browser is not until it is clicked.
        """
        self._bindings_ready = True
        if self.is_attached and screen is self.screen and self._keys() != self._shown:
            self.call_after_refresh(self.recompose)

    def _keys(self) -> tuple[FooterKeyText, ...]:
        """Of each action the shortest key that is shown."""
        if not (self._bindings_ready and self.is_attached):
            return ()
        shortest: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            other = shortest.get(active.binding.action)
            if active.binding.show and (other is None or len(active.binding.key) < len(other.binding.key)):
                shortest[active.binding.action] = active
        keys = [
            (binding, shown(binding.description), not enabled, tooltip)
            for _, binding, enabled, tooltip in shortest.values()
        ]
        return tuple(self._fitting(keys))

    def on_resize(self) -> None:
        if self._bindings_ready:
            self.bindings_changed(self.screen)

    def _fitting(self, keys: list[FooterKeyText]) -> Iterator[FooterKeyText]:
        """Whole keys only, as many as there is room for; the help, which has all of them, always."""
        room = self.screen.size.width - sum(self._cells(key) for key in keys if _is_help(key))
        for key in keys:
            if not _is_help(key):
                if self._cells(key) > room:
                    room = 0  # those after it are wanted less
                    continue
                room -= self._cells(key)
            yield key

    def _cells(self, key: FooterKeyText) -> int:
        """As Textual draws it: ` key text `."""
        return cell_len(self.app.get_key_display(key[0])) + cell_len(key[1]) + 3


def _is_help(key: FooterKeyText) -> bool:
    return key[0].action in ("help", HELP.action)
