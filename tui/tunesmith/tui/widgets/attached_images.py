"""The images that go with the next question, a line each; a click or `delete` on one takes it back."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.daemon.api.images import Attached
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t


class AttachedImages(Vertical):
    DEFAULT_CSS = """
    AttachedImages { height: auto; display: none; }
    AttachedImages.-some { display: block; }
    AttachedLine { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; pointer: pointer; }
    AttachedLine:hover, AttachedLine:focus { background: $block-hover-background; }
    """

    class TakenBack(Message):
        """The person wants that one not to be sent."""

        def __init__(self, image: Attached) -> None:
            super().__init__()
            self.image = image

    images: reactive[tuple[Attached, ...]] = reactive((), recompose=True)

    def __init__(self, images: tuple[Attached, ...] = ()) -> None:
        super().__init__()
        self.set_reactive(AttachedImages.images, images)
        self.set_class(bool(images), "-some")

    def compose(self) -> ComposeResult:
        for image in self.images:
            yield AttachedLine(image, last=image is self.images[-1])

    def watch_images(self, images: tuple[Attached, ...]) -> None:
        self.set_class(bool(images), "-some")


class AttachedLine(Static, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete,backspace,enter", "take_back", "chat.key_take_back", show=False)
    ]

    def __init__(self, image: Attached, last: bool) -> None:
        key = f" {t('chat.take_back_last')}" if last else ""
        super().__init__(Content.assemble(image_text(image), ("  ✕", "$error"), (key, "$foreground 60%")), markup=False)
        self.image = image
        self.tooltip = t("chat.take_back")

    def on_click(self) -> None:
        self.action_take_back()

    def action_take_back(self) -> None:
        self.post_message(AttachedImages.TakenBack(self.image))


def image_text(image: Attached) -> str:
    """Its file's name, and how large it is."""
    return t("chat.image", name=one_line(image.name), width=image.width, height=image.height)
