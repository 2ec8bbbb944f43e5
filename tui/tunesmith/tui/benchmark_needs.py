"""What public benchmarks need, in words: questions, time, memory, the tool that asks, and where questions come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textual.content import Content

from tunesmith.daemon.api import environments
from tunesmith.daemon.api.offline import is_offline
from tunesmith.recipes import suites
from tunesmith.recipes.spec import BENCHMARK, EVALUATE, TRAIN
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.forecast_text import FAINT, time_range
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.planner import Forecast, StageForecast
    from tunesmith.recipes.spec import BenchmarkSpec

TIMES = 3.0  # how far off the time of a benchmark may be either way: answers are as long as the model makes them
LONG_S = 3600.0  # from here on a limit is worth a word


def needs(asked: BenchmarkSpec, forecast: Forecast | None, home: Home) -> list[Content]:
    counts = [suites.asked(text, asked.tool, asked.limit) for text in asked.suites]
    said = questions(sum(filter(None, counts)), counts.count(None), asked.base)
    long = False
    stage = None if forecast is None else asking(forecast)
    if stage is not None:
        said += " · " + t("suites.time", time=time_range(*seconds_range(stage)))
        said += " · " + t("suites.memory", bytes=bytes_text(stage.host_bytes))
        long = stage.seconds > LONG_S and asked.limit is None
    lines = [Content(said)]
    if long:
        lines.append(Content.styled(t("suites.long"), "$warning"))
    used = dict.fromkeys(suites.check(text, asked.tool) for text in asked.suites)
    for tool in used:
        key = "tool_here" if environments.is_here(home, tool) else "tool_missing"
        size = bytes_text(suites.INSTALLED[tool])
        lines.append(Content.styled(t(f"suites.{key}", tool=tool, bytes=size), FAINT))
    named = dict.fromkeys(suites.check(text, asked.tool) for text in asked.suites if not suites.is_file(text))
    if named:
        hubs = t("suites.and").join(suites.HUBS[tool] for tool in named)
        if is_offline(os.environ):
            lines.append(Content.styled(t("suites.offline_now", hubs=hubs), "$warning"))
        else:
            lines.append(Content.styled(t("suites.fetched", hubs=hubs), FAINT))
    return lines


def asking(forecast: Forecast) -> StageForecast | None:
    """The stage in which they are asked: of a training its last, of a job of a finished run its own."""
    stages = {one.stage: one for one in forecast.stages}
    return stages.get(BENCHMARK) or (None if TRAIN in stages else stages.get(EVALUATE))


def seconds_range(stage: StageForecast) -> tuple[float, float]:
    return stage.seconds / TIMES, stage.seconds * TIMES


def questions(count: int, files: int, base: bool) -> str:
    parts = [t("suites.count", count=f"{count:,}")] if count else []
    parts += [t("suites.files", count=files)] if files else []
    return t("suites.and").join(parts) + (" " + t("suites.both_models") if base else "")
