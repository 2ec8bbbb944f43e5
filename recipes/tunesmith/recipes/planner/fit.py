"""Fit: whether a forecast holds in a place, and by how much."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.planner.forecast import Forecast
from tunesmith.recipes.planner.place import Place

FITS, TIGHT, NOT = "fits", "tight", "not"
DISK_LEFT = 1 << 30  # a system without any free disk stops for other reasons


class Fit(msgspec.Struct, frozen=True):
    """`verdict` is fits, tight (only if the forecast is right to the byte) or not; `short` names what is missing
    (device, host, disk) with the bytes that are, largest first.
    """

    verdict: str
    short: tuple[tuple[str, int], ...] = ()

    @property
    def holds(self) -> bool:
        return self.verdict != NOT


def fit(forecast: Forecast, place: Place) -> Fit:
    """Free memory counts, not total; the upper end of the forecast's range must fit for `fits`."""
    wanted = [("host", forecast.host_bytes, forecast.host_high_bytes, place.host_free_bytes)]
    if not place.shared:
        wanted.insert(0, ("device", forecast.device_bytes, forecast.device_high_bytes, place.free_bytes))
    disk = forecast.disk_bytes
    wanted.append(("disk", disk + DISK_LEFT, disk + DISK_LEFT, place.disk_free_bytes))
    short = tuple(
        sorted(((name, needed - free) for name, needed, _, free in wanted if needed > free), key=lambda one: -one[1])
    )
    if short:
        return Fit(NOT, short)
    tight = [name for name, _, high, free in wanted if high > free]
    return Fit(TIGHT if tight else FITS, tuple((name, 0) for name in tight))
