"""How a run's steps are computed: the paths taken and why, the work done against the machine's limit, its memory."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.units import bytes_text, count_text, flops_text
from tunesmith.tui.plain import one_line
from tunesmith.tui.run_words import inexact_text, taken_text, why_text
from tunesmith.tui.texts import shown, t

NAME_CELLS = 14
BYTES_CELLS = 10
BAR_CELLS = 24
NARROW_CELLS = 56  # below, a reason has a line of its own
MUTED, HEADING, BAR_REST = "$foreground 60%", "$secondary bold", "$foreground 20%"
COMPONENTS = ("weights", "adapter", "gradients", "optimizer", "activations", "other")


class Computing(VerticalScroll):
    """Give it a `view`; scrolls where it is longer than its place."""

    DEFAULT_CSS = """
    Computing { height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Computing > Static { height: auto; }
    """

    view: reactive[JobView | None] = reactive(None)

    def compose(self) -> ComposeResult:
        yield Static(self._text(), markup=False)

    def on_resize(self) -> None:
        self._draw()

    def watch_view(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self.is_mounted:
            self.query_one(Static).update(self._text())

    def _text(self) -> Content:
        width = self.content_size.width - self.scrollbar_size_vertical  # a place for it is always kept
        return Content("\n").join(lines(self.view, width)) if self.view else Content("")


def slower(paths: Sequence[PathTaken]) -> Content | None:
    """One line that names the parts for which a faster path exists; None where all are the fastest."""
    parts = [f"{part_name(path.part)}: {one_line(taken_text(path))}" for path in paths if not path.fastest]
    if not parts:
        return None
    return Content.assemble(("! ", "$warning bold"), (t("computing.slower"), "bold"), " ", "; ".join(parts))


def lines(view: JobView, width: int) -> list[Content]:
    made = [*_paths(view.paths, width), *_work(view, width), *_memory(view), *_checkpoints(view, width)]
    return made or [Content.styled(t("computing.empty"), MUTED)]


def part_name(part: str) -> str:
    """The word for a part where there is one, else the worker's own."""
    key = f"computing.part_{part}"
    name = shown(key)
    return one_line(part.replace("_", " ")) if name == key else name


def _name(text: str) -> Content:
    name = Content(text)
    return name.pad_right(max(1, NAME_CELLS - name.cell_length))


def _paths(paths: Sequence[PathTaken], width: int) -> list[Content]:
    if not paths:
        return []
    made = [Content.styled(t("computing.paths"), HEADING)]
    narrow = width < NARROW_CELLS
    for path in paths:
        mark = ("✓ ", "$success") if path.fastest else ("! ", "$warning bold")
        name = Content(f"{part_name(path.part)}: ") if narrow else _name(part_name(path.part))
        said = Content.styled(one_line(taken_text(path)), "bold")
        if not path.fastest:
            said = Content.assemble(said, (f"  {t('computing.slower_mark')}", "$warning"))
        if path.why:
            said = Content.assemble(said, (f" · {one_line(why_text(path))}", MUTED))
        if narrow:
            made += _indented(Content.assemble(mark), "  ", Content.assemble(name, said), width)
        else:
            made += _indented(Content.assemble(mark, name), " " * (NAME_CELLS + 2), said, width)
    return [*made, Content("")]


def _named(name: str, text: Content, width: int) -> list[Content]:
    return _indented(Content.assemble("  ", _name(name)), " " * (NAME_CELLS + 2), text, width)


def _indented(head: Content, indent: str, text: Content, width: int) -> list[Content]:
    """`text` after `head`, wrapped at `width` cells, its further lines after `indent`."""
    first, *more = text.wrap(max(10, width - len(indent)))
    return [Content.assemble(head, first), *(Content.assemble(indent, line) for line in more)]


def _work(view: JobView, width: int) -> list[Content]:
    step, limit = view.step, view.limit
    if limit is None and step is None:
        return []
    made = [Content.styled(t("computing.work"), HEADING)]
    if step is not None and step.flops_per_second:
        made += _named(t("run.flops"), Content(work_text(step.flops_per_second, step.limit_share)), width)
    if limit is not None:
        rate = t("computing.limit", rate=flops_text(limit.flops_per_second), dtype=limit.dtype, device=limit.device)
        made += _named(t("computing.limit_name"), Content(one_line(rate)), width)
    if step is not None:
        made += _named(t("run.tokens_per_second"), Content(count_text(step.tokens_per_second)), width)
        made += _named(t("run.padding"), Content(f"{step.padding_share:.1%}"), width)
        if step.token_accuracy is not None:
            made += _named(t("run.accuracy"), Content(f"{step.token_accuracy:.1%}"), width)
    return [*made, Content("")]


def work_text(flops_per_second: float, limit_share: float | None) -> str:
    """`112 GFLOP/s (57%)`: the rate of useful work, and its share of the machine's limit where that was measured."""
    share = "" if limit_share is None else f" ({limit_share:.0%})"
    return flops_text(flops_per_second) + share


def _memory(view: JobView) -> list[Content]:
    """What was measured, and beside it what was forecast."""
    memory = view.memory
    if memory is None:
        return []
    expected = {part.key: part.bytes for part in view.forecast.parts} if view.forecast is not None else {}
    # What backward does not keep but needs meanwhile is measured together.
    expected["other"] = expected.pop("logits", 0) + expected.pop("runtime", 0)
    made = [Content.styled(t("computing.memory", step=memory.step), HEADING)]
    sizes = {name: int(getattr(memory, name)) for name in COMPONENTS}
    largest = max(*sizes.values(), 1)
    for name, size in sizes.items():
        bar = "━" * round(size / largest * BAR_CELLS)
        head = _name(t(f"computing.memory_{name}"))
        figures = f"{bytes_text(size):>{BYTES_CELLS}}  "
        said = t("computing.forecast", bytes=bytes_text(expected[name])) if expected.get(name) else ""
        made.append(Content.assemble("  ", head, figures, (bar, "$primary"), (f"  {said}" if said else "", MUTED)))
    peak = f"{bytes_text(memory.peak):>{BYTES_CELLS}}"
    last = Content.assemble("  ", _name(t("computing.memory_peak")), (peak, "bold"))
    if view.forecast is not None:
        last = Content.assemble(last, (f"  {t('computing.forecast', bytes=bytes_text(view.forecast.bytes))}", MUTED))
    return [*made, last, Content("")]


def _checkpoints(view: JobView, width: int) -> list[Content]:
    made = [Content.styled(t("computing.checkpoints"), HEADING)]
    if view.resumed is not None:
        made += _indented(Content("  "), "  ", Content(t("computing.resumed", step=view.resumed.step)), width)
        if not view.resumed.exact:
            why = one_line(inexact_text(view.resumed))
            said = Content.styled(t("computing.inexact", why=why), "$warning")
            made += _indented(Content("  "), "  ", said, width)
    if view.checkpoint is not None:
        size = bytes_text(view.checkpoint.bytes)
        text = t("computing.checkpoint", step=view.checkpoint.step, size=size)
        made += _indented(Content("  "), "  ", Content(text), width)
    return made if len(made) > 1 else []
