"""Where the recipe file is written; an existing file is replaced only when asked twice."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tunesmith.tui.texts import t
from tunesmith.tui.widgets.key_bar import HELP, KeyBar
from tunesmith.tui.widgets.path_input import PathInput
from tunesmith.tui.widgets.step_parts import Trouble


class SaveScreen(ModalScreen[Path | None]):
    """Dismissed with the path that was written, or None."""

    BINDINGS = [Binding("escape", "leave", "keys.back"), HELP]

    def __init__(self, path: Path, text: str) -> None:
        super().__init__()
        self.path = path
        self.text = text
        self.asked_about: Path | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="window -small"):
            yield Static(Content(t("recipe.save_title")), classes="step-title")
            yield PathInput(str(self.path), placeholder="recipe.yaml", id="save-path", suffixes=(".yaml", ".yml"))
            yield Static(Content(t("recipe.save_hint")), classes="muted")
            yield Trouble(id="save-trouble")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def save(self, event: Input.Submitted) -> None:
        path = Path(event.value.strip()).expanduser().absolute()
        trouble = self.query_one(Trouble)
        if path.is_dir():
            trouble.show(t("recipe.save_folder", path=path), t("recipe.save_folder_hint"))
        elif path.exists() and self.asked_about != path:
            self.asked_about = path
            trouble.show(t("recipe.save_exists", path=path), t("recipe.save_exists_hint"))
        else:
            try:
                path.write_text(self.text, "utf-8")
            except OSError as error:
                trouble.show(t("recipe.save_failed", path=path, error=error.strerror), t("recipe.save_failed_hint"))
                return
            self.dismiss(path)

    def action_leave(self) -> None:
        self.dismiss(None)
