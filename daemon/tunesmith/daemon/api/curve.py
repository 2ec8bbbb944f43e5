"""A curve over a whole run in bounded room: of each stretch of steps its lowest and its highest point."""

from __future__ import annotations

from itertools import groupby
from math import ceil
from operator import itemgetter

Points = tuple[tuple[int, float], ...]
MOST = 2000  # a braille chart is at most a few hundred columns wide


def extended(points: Points, step: int, value: float) -> Points:
    """One more at the end. Where there are MOST already, those before are thinned out to about half of it."""
    return (*(points if len(points) < MOST else _thinned(points)), (step, value))


def _thinned(points: Points) -> Points:
    """Stretches are equally long, so that the late part of a run is drawn as finely as its begin; that one stays."""
    first, last = points[0][0], points[-1][0]
    length = ceil((last - first + 1) / (MOST // 4))
    kept = [points[0]]
    for _, stretch in groupby(points[1:], lambda point: (point[0] - first) // length):
        same = list(stretch)
        lowest, highest = min(same, key=itemgetter(1)), max(same, key=itemgetter(1))
        kept += sorted({lowest, highest}, key=itemgetter(0))
    return tuple(kept)
