"""Refusal: why no plan holds, the least that is needed, and what would fit instead."""

from __future__ import annotations

from tunesmith.recipes.models.catalogue import Entry, catalogue
from tunesmith.recipes.planner.badge import badge
from tunesmith.recipes.planner.fit import FITS, NOT
from tunesmith.recipes.planner.plans import Reason
from tunesmith.recipes.planner.search import Case, Found, three
from tunesmith.recipes.units import bytes_text


def refusal(case: Case, lean: Found) -> Reason:
    """`lean` is the plan that needs least; it does not hold.

    Values that a person set come first: giving one up costs less than another machine.
    """
    if blocking := in_the_way(case):
        return Reason("in_the_way", {"keys": ", ".join(blocking)} | missing(case, lean))
    smaller = largest_that_fits(case)
    if smaller is not None:
        return Reason("too_large", {"model": smaller.huggingface} | missing(case, lean))
    return Reason("nothing_fits", missing(case, lean))


def missing(case: Case, lean: Found) -> dict[str, str]:
    """What runs short most, how much of it is needed and free."""
    place, forecast = case.place, lean.forecast
    what = lean.fit.short[0][0] if lean.fit.short else "device"
    needed = {"device": forecast.device_bytes, "host": forecast.host_bytes, "disk": forecast.disk_bytes}[what]
    free = {"device": place.free_bytes, "host": place.host_free_bytes, "disk": place.disk_free_bytes}[what]
    return {"what": what, "needed": bytes_text(needed), "free": bytes_text(free), "place": place.name}


def in_the_way(case: Case) -> tuple[str, ...]:
    """The keys that a person set and without any of which a plan would hold; all of them where only that helps."""
    alone = [key for key in sorted(case.explicit) if holds(case.without((key,)))]
    if alone or len(case.explicit) < 2:
        return tuple(alone)
    return tuple(sorted(case.explicit)) if holds(case.without(case.explicit)) else ()


def holds(case: Case) -> bool:
    return any(found.fit.verdict != NOT for found in three(case).values())


def largest_that_fits(case: Case) -> Entry | None:
    """Of the same family first, else of the whole catalogue; instruct models that read text."""
    size = case.facts.parameters
    smaller = [one for one in catalogue() if one.kind == "instruct" and one.parameters < size]
    own = next((one.family for one in catalogue() if one.huggingface == case.facts.source), "")
    smaller.sort(key=lambda one: (one.family != own, one.facts.model_type != case.facts.model_type, -one.parameters))
    return next((one for one in smaller if badge(one.facts, case.place).verdict in (FITS, "quantized")), None)
