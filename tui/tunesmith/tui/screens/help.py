"""Every key that works now, made from the bindings themselves."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tunesmith.tui.texts import language, load, shown, t
from tunesmith.tui.widgets.key_bar import KeyBar

KEYS_CELLS = 16
# Textual's own bindings that are worth a line; the rest of its English is left out.
TEXTUAL = {"app.focus_next": "help.next_field", "app.focus_previous": "help.previous_field", "press": "help.press"}


class HelpScreen(ModalScreen[None]):
    BINDINGS = [Binding("escape,q,question_mark", "leave", "keys.back")]

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self.lines = key_lines(about)

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(Content(t("help.title")), classes="step-title")
            with VerticalScroll():
                yield Static(Content(t("help.lead")), classes="muted")
                # One widget for all of them: thirty would take as long to make as a person notices.
                yield Static(Content("\n").join(key_line(keys, text) for keys, text in self.lines), id="help-keys")
                yield Static(Content(t("help.more")), classes="muted")
        yield KeyBar()

    def action_leave(self) -> None:
        self.dismiss()


def key_line(keys: str, text: str) -> Content:
    space = " " * max(1, KEYS_CELLS - Content(keys).cell_length)
    return Content.assemble((keys, "$primary bold"), space, text)


def key_lines(screen: Screen[object]) -> list[tuple[str, str]]:
    """(keys, what they do) of every described binding active on `screen`, one line an action."""
    found: dict[tuple[str, str], list[str]] = {}
    ours = set(load(language()).values())
    for active in screen.active_bindings.values():
        binding = active.binding
        text = shown(TEXTUAL.get(binding.action, binding.description))
        if active.enabled and text in ours:
            found.setdefault((binding.action, text), []).append(screen.app.get_key_display(binding))
    return [(" ".join(dict.fromkeys(keys)), text) for (_, text), keys in found.items()]
