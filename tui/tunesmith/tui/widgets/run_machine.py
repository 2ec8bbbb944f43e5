"""The machine while a run goes on: memory as forecast beside memory as measured, and small live gauges."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive

from tunesmith.daemon.api.events import Gauged, MemoryMeasured
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.planner.forecast import Forecast
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.forecast_text import FAINT, bytes_range
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.line_stack import LineStack
from tunesmith.tui.widgets.memory_bar import Memory, bar

LEVELS = "▁▂▃▄▅▆▇█"
NAME_CELLS = 10
FIGURE_CELLS = 24
BAR_CELLS_MIN = 8
MEASURED = ("weights", "adapter", "gradients", "optimizer", "activations", "other")


class RunMachine(LineStack):
    """Of a JobView; what is not known is left out."""

    view: reactive[JobView | None] = reactive(None)

    def watch_view(self) -> None:
        self.changed()

    def lines(self, width: int) -> list[Content]:
        view = self.view
        if view is None:
            return []
        made = memory_lines(view.forecast, view.memory, width)
        if view.gauges is not None and not view.ended_already:
            made.append(gauges_line(view.gauges).truncate(width, ellipsis=True))
        return made


def memory_lines(forecast: Forecast | None, measured: MemoryMeasured | None, width: int) -> list[Content]:
    """Training as forecast and as measured: two bars of one scale, so that their parts can be compared."""
    if forecast is None:
        return []
    training = sum(part.bytes for part in forecast.parts)
    below, above = forecast.memory_spread
    low, high = training * (1 - below), training * (1 + above)
    top = int(max(high, measured.peak if measured is not None else 0))
    figure = f"{bytes_text(training)} ({bytes_range(low, high)})"
    parts = tuple((part.key, part.bytes) for part in forecast.parts)
    made = [_line(t("run.memory_forecast"), Memory(parts, top), figure, width)]
    if measured is not None:
        sizes = tuple(("runtime" if name == "other" else name, int(getattr(measured, name))) for name in MEASURED)
        figure = f"{bytes_text(measured.peak)} ({measured.peak / max(1, training) - 1:+.0%})"
        made.append(_line(t("run.memory_measured"), Memory(sizes, top), figure, width))
    return made


def _line(name: str, memory: Memory, figure: str, width: int) -> Content:
    head = Content.styled(name, FAINT)
    head = head.pad_right(max(1, NAME_CELLS - head.cell_length))
    cells = width - head.cell_length - FIGURE_CELLS
    drawn = bar(memory, min(60, cells)) if cells >= BAR_CELLS_MIN else Content("")
    gap = "  " if drawn else ""
    return Content.assemble(head, drawn, gap, (figure, "bold")).truncate(width, ellipsis=True)


def gauges_line(gauges: Gauged) -> Content:
    """`CPU ▇ 92 %   Memory ▃ 5.1 of 16.0 GB   GPU █ 98 %   11.2 of 12.0 GB   71 °C   210 W`."""
    pairs = [
        share(t("run.gauge_cpu"), gauges.cpu_share),
        of(t("run.memory"), gauges.memory_used_bytes, gauges.memory_bytes),
    ]
    on_device = []
    if gauges.device_share is not None:
        on_device.append(share(t("run.gauge_gpu"), gauges.device_share))
    if gauges.device_used_bytes is not None and gauges.device_bytes:
        name = t("run.gauge_gpu_memory") if not on_device else ""
        on_device.append(of(name, gauges.device_used_bytes, gauges.device_bytes))
    if on_device:
        pairs.append(Content("  ").join(on_device))
    if gauges.temperature_c is not None:
        pairs.append(Content(t("machine.heat", celsius=gauges.temperature_c)))
    if gauges.power_watts is not None:
        pairs.append(Content(t("machine.power", watts=f"{gauges.power_watts:.0f}")))
    return Content("   ").join(pairs)


def share(name: str, part: float) -> Content:
    return Content.assemble((f"{name} ", FAINT), level(part), f" {part:.0%}")


def of(name: str, used: int, whole: int) -> Content:
    """`5.1 of 16.0 GB`."""
    low, high = bytes_text(used), bytes_text(whole)
    short = low.partition(" ")[0] if low.endswith(high.partition(" ")[2]) else low
    both = t("run.used_of", used=short, total=high)
    return Content.assemble((f"{name} " if name else "", FAINT), level(used / whole if whole else 0.0), f" {both}")


def level(part: float) -> Content:
    """A cell that is filled as far as the part goes."""
    part = min(1.0, max(0.0, part))
    return Content.styled(LEVELS[round(part * (len(LEVELS) - 1))], "$primary" if part < 0.9 else "$warning")
