"""Rows as the model sees them, what is trained on in colour and underlined; arrow keys or a click turn to the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Button, Static

from tunesmith.tui.data_preview import NAME, TRAINED, ShownPart, ShownRow
from tunesmith.tui.plain import plain
from tunesmith.tui.texts import t

HEAD, TAIL = 400, 150  # characters shown of a longer piece; all of it would push the answer out of sight
STYLES = {TRAINED: "$success underline", NAME: "$secondary bold"}


class RowPreview(Vertical, can_focus=True):
    """`rows` may grow while it is looked at; the row that is shown stays."""

    DEFAULT_CSS = """
    RowPreview { height: auto; border-left: outer $panel; padding: 0 1; background: $surface; margin-bottom: 1; }
    RowPreview:focus { border-left: thick $primary; }
    RowPreview #preview-head { height: 1; }
    RowPreview #preview-where { width: 1fr; height: 1; color: $foreground 60%; }
    RowPreview Button { min-width: 3; height: 1; border: none; margin: 0 0 0 1; background: $panel; }
    RowPreview #preview-text { height: auto; }
    """
    BINDINGS = [Binding("left", "turn(-1)", "keys.previous_row"), Binding("right", "turn(1)", "keys.next_row")]

    rows: reactive[tuple[ShownRow, ...]] = reactive(tuple)
    at = reactive(0)

    def compose(self) -> ComposeResult:
        with Horizontal(id="preview-head"):
            yield Static(id="preview-where")
            for name, label in (("previous", "◀"), ("next", "▶")):
                button = Button(Content(label), id=f"preview-{name}", compact=True)
                button.can_focus = False  # the arrow keys do the same; tab would stop three times
                yield button
        yield Static(id="preview-text")

    def on_mount(self) -> None:
        self._draw()

    def watch_rows(self, before: tuple[ShownRow, ...], rows: tuple[ShownRow, ...]) -> None:
        if rows[: len(before)] != before:
            self.at = 0
        self._draw()

    def watch_at(self) -> None:
        self._draw()

    def action_turn(self, by: int) -> None:
        if self.rows:
            self.at = (self.at + by) % len(self.rows)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_turn(1 if event.button.id == "preview-next" else -1)

    def _draw(self) -> None:
        self.display = bool(self.rows)
        if not self.rows or not self.is_mounted:
            return
        at = min(self.at, len(self.rows) - 1)
        row = self.rows[at]
        head = t("data.preview", number=at + 1, total=len(self.rows), where=Path(row.where).name)
        self.query_one("#preview-where", Static).update(Content(head))
        self.query_one("#preview-text", Static).update(row_content(row))


def row_content(row: ShownRow) -> Content:
    """Every part of a row, under its name where there are several."""
    lines = []
    for part in row.parts:
        if len(row.parts) > 1:
            lines.append(Content.styled(part_name(part.name), "$primary bold"))
        if part.trouble:
            lines.append(Content.assemble(("▲ ", "$warning bold"), part.trouble))
        lines += [Content.assemble(*styled(part)), counted(part)]
    if row.label:
        lines.append(Content.assemble((t("data.label"), "$foreground 60%"), "  ", (plain(row.label), "bold")))
    return Content("\n").join(lines)


def styled(part: ShownPart) -> Iterator[tuple[str, str]]:
    for piece in part.pieces:
        text = plain(piece.text)
        if len(text) > HEAD + TAIL:
            text = f"{text[:HEAD]} […] {text[-TAIL:]}"
        if piece.kind == TRAINED:
            text = text.replace("\n", "↵\n")  # a line end cannot be underlined
        yield text, STYLES.get(piece.kind, "$foreground 75%")


def counted(part: ShownPart) -> Content:
    """How many tokens are trained, in the look that trained text has."""
    legend = (t("data.is_trained"), STYLES[TRAINED])
    if part.tokens is None:
        return Content.assemble(legend)
    tokens = t("data.part_tokens", trained=part.trained, tokens=part.tokens)
    return Content.assemble(legend, (f"   {tokens}", "$foreground 60%"))


def part_name(name: str) -> str:
    """The part's name in the language; `positive 2` keeps its number."""
    word, _, number = name.partition(" ")
    return f"{t(f'data.part_{word}')} {number}".rstrip()
