"""The tools that the models may call, on a line; a click or `delete` on it takes them away."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.daemon.api.tools import Tool
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t
from tunesmith.tui.tool_text import described


class ToolsLine(Horizontal, can_focus=True):
    DEFAULT_CSS = """
    ToolsLine { height: 1; display: none; padding: 0 1; pointer: pointer; }
    ToolsLine.-some { display: block; }
    ToolsLine:hover, ToolsLine:focus { background: $block-hover-background; }
    ToolsLine Static { width: auto; height: 1; text-wrap: nowrap; }
    ToolsLine #tool-names { width: 1fr; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete,backspace,enter", "take_away", "chat.key_tools_away", show=False)
    ]

    class TakenAway(Message):
        """The person wants them not to be called any more."""

    tools: reactive[tuple[Tool, ...]] = reactive((), recompose=True)

    def __init__(self, tools: tuple[Tool, ...] = ()) -> None:
        super().__init__()
        self.set_reactive(ToolsLine.tools, tools)
        self.watch_tools(tools)

    def compose(self) -> ComposeResult:
        yield Static(Content(tools_text(self.tools)), id="tool-names", markup=False)
        key = f" {t('chat.tools_away')}"
        yield Static(Content.assemble(("  ✕", "$error"), (key, "$foreground 60%")), markup=False)

    def watch_tools(self, tools: tuple[Tool, ...]) -> None:
        self.set_class(bool(tools), "-some")
        self.tooltip = Content("\n".join(map(described, tools))) if tools else None

    def on_click(self) -> None:
        self.action_take_away()

    def action_take_away(self) -> None:
        self.post_message(self.TakenAway())


def tools_text(tools: tuple[Tool, ...]) -> str:
    """How many, and their names."""
    names = ", ".join(one_line(tool.function.name) for tool in tools)
    return t("chat.tools_one", names=names) if len(tools) == 1 else t("chat.tools", count=len(tools), names=names)
