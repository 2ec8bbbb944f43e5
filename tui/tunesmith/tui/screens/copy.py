"""What of a run can be copied: the command that does it again, its answers, where its files lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tunesmith.daemon.api.view import JobView
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.reproduce import command, more_command
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.feed import subject_name
from tunesmith.tui.widgets.key_bar import HELP, KeyBar

ANSWERS_OFFERED = 50
LINE_CHARACTERS = 300  # of a long answer in the list; all of it is copied


class Offer(msgspec.Struct, frozen=True):
    """`text` is copied; `label` says what it is."""

    label: str
    text: str


class CopyScreen(ModalScreen[None]):
    """Enter copies, through the terminal (OSC 52), and leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,y", "leave", "keys.back"), HELP]

    def __init__(self, offered: Sequence[Offer]) -> None:
        super().__init__()
        self.offered = offered

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(Content(t("copy.title")), classes="step-title")
            yield OptionList(*(Option(_line(offer)) for offer in self.offered))
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        offer = self.offered[event.option_index]
        self.app.copy_to_clipboard(offer.text)
        self.app.notify(t("copy.copied", what=offer.label), markup=False)
        self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)


def _line(offer: Offer) -> Content:
    return Content.assemble((offer.label, "bold"), "  ", one_line(offer.text)[:LINE_CHARACTERS] or "—")


def offers(view: JobView) -> list[Offer]:
    """What is asked for most comes first. All of it is harmless to paste: no escape sequence, no control."""
    found = [Offer(t("copy.command"), command(view))]
    if more := more_command(view):
        found.append(Offer(t("copy.more"), more))
    found.append(Offer(t("copy.folder"), plain(view.folder)))
    for artifact in view.artifacts:
        path = plain(str(PurePath(view.folder, artifact.path)))
        found.append(Offer(t("copy.file", name=one_line(artifact.key)), path))
    if view.error is not None:
        found.append(Offer(t("copy.error"), plain(f"{view.error.message}\n{view.error.hint}")))
    for sampled in view.samples[::-1]:
        found.append(Offer(t("live.sampled", step=sampled.step), plain(sampled.answer)))
    for answer in [a for a in view.answers if a.subject == "tuned"][:ANSWERS_OFFERED]:
        name = t("copy.answer", subject=subject_name(answer.subject), question=one_line(answer.question)[:40])
        found.append(Offer(name, plain(answer.answer)))
    return found
