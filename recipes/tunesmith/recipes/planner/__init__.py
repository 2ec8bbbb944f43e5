"""The planner: what a run needs of memory, time and disk, before it starts. No engine, no network.

`forecast` is the one number that fit badges, plans, the queue's admission and automatic choices all read.
"""

from __future__ import annotations

from tunesmith.recipes.planner.fit import Fit, fit
from tunesmith.recipes.planner.forecast import Forecast, Part, StageForecast, forecast, probed
from tunesmith.recipes.planner.learned import Correction, Learned
from tunesmith.recipes.planner.place import Place, place_of
from tunesmith.recipes.planner.rows import ASSUMED, Rows, assumed
from tunesmith.recipes.planner.shrink import Change, shrunk

__all__ = [
    "ASSUMED",
    "Change",
    "Correction",
    "Fit",
    "Forecast",
    "Learned",
    "Part",
    "Place",
    "Rows",
    "StageForecast",
    "assumed",
    "fit",
    "forecast",
    "place_of",
    "probed",
    "shrunk",
]
