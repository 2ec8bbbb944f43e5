"""The footer: the keys that work now, their texts in the current language."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from tunesmith.tui.texts import shown

FooterKeyText = tuple[Binding, str, bool, str]


class KeyBar(Footer):
    """Textual's footer, with binding descriptions that are text keys (`keys.back`) translated."""

    _shown: tuple[FooterKeyText, ...] = ()

    def compose(self) -> ComposeResult:
        self._shown = self._keys()
        for binding, text, disabled, tooltip in self._shown:
            key = FooterKey(
                binding.key, self.app.get_key_display(binding), text, binding.action, disabled=disabled, tooltip=tooltip
            )
            yield key.data_bind(compact=Footer.compact)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Made anew only when a key came, went or changed: a live screen asks ten times a second."""
        self._bindings_ready = True
        if self._keys() != self._shown:
            super().bindings_changed(screen)

    def _keys(self) -> tuple[FooterKeyText, ...]:
        """Of each action the shortest key that is shown."""
        if not (self._bindings_ready and self.is_attached):
            return ()
        shortest: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            other = shortest.get(active.binding.action)
            if active.binding.show and (other is None or len(active.binding.key) < len(other.binding.key)):
                shortest[active.binding.action] = active
        return tuple(
            (binding, shown(binding.description), not enabled, tooltip)
            for _, binding, enabled, tooltip in shortest.values()
        )
