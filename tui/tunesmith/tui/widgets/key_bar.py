"""The footer: the keys that work now, their texts in the current language."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from tunesmith.tui.texts import shown

# For windows over the frame, which the app's own keys do not reach; ctrl+g also while one types.
HELP = Binding("question_mark,ctrl+g", "app.help", "keys.help", key_display="?")


class KeyBar(Footer):
    """Textual's footer, with binding descriptions that are text keys (`keys.back`) translated."""

    def compose(self) -> ComposeResult:
        if not self._bindings_ready:
            return
        shortest: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            other = shortest.get(active.binding.action)
            if active.binding.show and (other is None or len(active.binding.key) < len(other.binding.key)):
                shortest[active.binding.action] = active
        for _, binding, enabled, tooltip in shortest.values():
            yield FooterKey(
                binding.key,
                self.app.get_key_display(binding),
                shown(binding.description),
                binding.action,
                disabled=not enabled,
                tooltip=tooltip,
            ).data_bind(compact=Footer.compact)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Also in a window that is not in front, which a page in a browser is not until it is clicked."""
        self._bindings_ready = True
        if self.is_attached and screen is self.screen:
            self.call_after_refresh(self.recompose)
