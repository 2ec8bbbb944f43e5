"""Which exports a run makes: one box each; those that the tuner leaves nothing for cannot be ticked."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Checkbox

from tunesmith.tui.draft import Draft
from tunesmith.tui.texts import shown
from tunesmith.tui.widgets.tick_box import TickBox


class ExportChoices(Vertical):
    """Posts `Changed` when a person ticks or clears one."""

    DEFAULT_CSS = """
    ExportChoices { height: auto; }
    """

    class Changed(Message):
        def __init__(self, targets: list[str]) -> None:
            super().__init__()
            self.targets = targets

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft

    def compose(self) -> ComposeResult:
        from tunesmith.recipes.exports import cards, named

        for card in cards().values():
            for variant in card.offered or card.variants:
                target = named(card, variant)
                possible = self.draft.possible(target)
                yield export_box(target, possible and target in self.draft.exports, possible)

    def show(self) -> None:
        """What the draft says now."""
        with self.prevent(Checkbox.Changed):
            for box in self.query(Checkbox):
                box.value = not box.disabled and box.name in self.draft.exports

    @on(Checkbox.Changed)
    def changed(self, event: Checkbox.Changed) -> None:
        event.stop()
        boxes = {box.name: box for box in self.query(Checkbox) if box.name}
        kept = [name for name, box in boxes.items() if box.disabled and name in self.draft.exports]
        self.post_message(self.Changed([name for name, box in boxes.items() if box.value or name in kept]))


def export_box(target: str, chosen: bool, possible: bool = True) -> TickBox:
    """Named after its target, with what that is."""
    from tunesmith.recipes.exports import find

    card, _ = find(target)
    known = shown(f"recipe.export_{card.key}")
    blurb = card.blurb if known == f"recipe.export_{card.key}" else known
    label = Content.assemble(target, (f"  {blurb}", "$foreground 60%"))
    name = "export-" + target.replace(":", "-")
    return TickBox(label, chosen, id=name, name=target, compact=True, disabled=not possible)
