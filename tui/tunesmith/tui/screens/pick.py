"""A window to pick a folder or file by looking for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.text import Text, TextType
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Static

from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.key_bar import HELP, KeyBar


class VisibleTree(DirectoryTree):
    """Folders, and files with one of `suffixes`; nothing whose name begins with a dot."""

    def __init__(self, path: Path, suffixes: tuple[str, ...]) -> None:
        super().__init__(path)
        self.suffixes = suffixes

    def process_label(self, label: TextType) -> Text:
        """A file may be called anything."""
        return Text(one_line(str(label)))

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [p for p in paths if not p.name.startswith(".") and (p.is_dir() or p.name.endswith(self.suffixes))]


class PickScreen(ModalScreen[Path | None]):
    """Dismissed with the path, or None. With `suffixes` a file is picked (with `folders` either), without a folder."""

    BINDINGS = [
        Binding("escape", "leave", "keys.back"),
        Binding("ctrl+n", "take", "keys.take"),
        Binding("backspace", "up", "keys.up"),
        HELP,
    ]

    def __init__(self, start: Path, suffixes: tuple[str, ...] = (), *, folders: bool = False) -> None:
        super().__init__()
        self.start = start
        self.suffixes = suffixes
        self.folders = folders or not suffixes

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            title = t("pick.folder") if not self.suffixes else t("pick.either") if self.folders else t("pick.file")
            yield Static(Content(title), classes="step-title")
            yield VisibleTree(self.start, self.suffixes or ("config.json",))
        yield KeyBar()

    @on(DirectoryTree.FileSelected)
    def file_selected(self, event: DirectoryTree.FileSelected) -> None:
        """Among folders only config.json is listed, and picking it means the folder it is in."""
        self.dismiss(event.path if self.suffixes else event.path.parent)

    def action_take(self) -> None:
        node = self.query_one(VisibleTree).cursor_node
        if node is None or node.data is None:
            return
        path = Path(node.data.path)
        if self.folders if path.is_dir() else self.suffixes:
            self.dismiss(path)

    async def action_up(self) -> None:
        tree = self.query_one(VisibleTree)
        tree.path = Path(tree.path).resolve().parent

    def action_leave(self) -> None:
        self.dismiss(None)
