"""One or two lines: what is being done to the cache of models, how far it is, and how the last thing ended."""

from __future__ import annotations

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tunesmith.recipes.units import bytes_text
from tunesmith.tui.explained import told
from tunesmith.tui.model_work import Ended, ModelWork, Now
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.texts import t

DRAW_EVERY_S = 0.2
BAR_CELLS = 16


class ModelProgress(Static):
    """Hidden while there is nothing to say."""

    DEFAULT_CSS = """
    ModelProgress { height: auto; max-height: 4; padding: 0 1; background: $panel; display: none; }
    """

    class Over(Message):
        """Something is over, well or not."""

    def __init__(self, doing: ModelWork) -> None:
        super().__init__(markup=False)
        self.doing = doing
        self._drawn: tuple[Now | None, Ended | None] = (None, None)

    def on_mount(self) -> None:
        self.set_interval(DRAW_EVERY_S, self.draw)
        self.draw()

    def draw(self) -> None:
        state = self.doing.now, self.doing.ended
        if state == self._drawn:
            return
        before, self._drawn = self._drawn, state
        now, ended = state
        self.display = now is not None or ended is not None
        self.update(now_text(now) if now is not None else ended_text(ended) if ended is not None else "")
        if before[0] is not None and now is None:
            self.post_message(self.Over())


def now_text(now: Now) -> Content:
    head = Content.assemble(
        ("◐ ", "$secondary bold"), (t(f"models.doing_{now.kind}"), "bold"), f" {one_line(now.name)}  "
    )
    match now.phase:
        case "waiting":
            return Content.assemble(head, t("models.waiting", why=one_line(now.waits)))
        case "begun":
            return head
    share = now.done / now.total if now.total else 0.0
    full = round(min(1.0, share) * BAR_CELLS)
    figures = f" {share:.0%}  {t('models.of', done=bytes_text(now.done), total=bytes_text(now.total))}"
    checking = f"  {t('models.checking')}" if now.phase == "checking" else ""
    return Content.assemble(head, ("━" * full, "$primary"), ("─" * (BAR_CELLS - full), "dim"), figures, checking)


def ended_text(ended: Ended) -> Content:
    name = one_line(ended.name)
    if ended.error is not None:
        message, way_on = told(ended.error)
        hint = ("\n", ("→ ", "$secondary bold"), plain(way_on)) if way_on else ()
        return Content.assemble(("✗ ", "$error bold"), f"{name}: ", plain(message), *hint)
    if ended.stopped:
        return Content.assemble(("■ ", "$warning bold"), t("models.stopped", name=name))
    if ended.kind == "verify" and ended.damaged:
        return Content.assemble(
            ("✗ ", "$error bold"), t("models.found_damaged", count=ended.damaged, models=ended.models)
        )
    if ended.kind == "verify":
        return Content.assemble(("✓ ", "$success bold"), t("models.found_whole", models=ended.models))
    return Content.assemble(("✓ ", "$success bold"), t("models.is_here", name=name, bytes=bytes_text(ended.bytes)))
