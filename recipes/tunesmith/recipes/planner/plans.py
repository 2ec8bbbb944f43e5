"""Plans: what a recommendation is made of. Reasons are codes with values; whoever shows them has the words."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.planner.fit import Fit
from tunesmith.recipes.planner.forecast import Forecast
from tunesmith.recipes.planner.shrink import Change
from tunesmith.recipes.spec import JobSpec

LEAN, BALANCED, BEST = "lean", "balanced", "best"
PLANS = (LEAN, BALANCED, BEST)


class Reason(msgspec.Struct, frozen=True):
    """`code` is the text plan.reason_<code>, `values` fill its places."""

    code: str
    values: dict[str, str] = {}


class Choice(msgspec.Struct, frozen=True):
    """A value of the recipe by its key (training.batch_size), or one that follows from others (attention).

    `explicit`: a person set it.
    """

    key: str
    value: str
    reason: Reason
    explicit: bool = False


class Plan(msgspec.Struct, frozen=True):
    """`key` is lean (least memory that still learns well), balanced or best (most quality)."""

    key: str
    spec: JobSpec
    forecast: Forecast
    fit: Fit
    choices: tuple[Choice, ...]


class Way(msgspec.Struct, frozen=True):
    """Changes of the recipe with which it needs less: `saved` bytes of `what` (device, host, disk), and `needed` then.

    `fits` says whether it then fits.
    """

    changes: tuple[Change, ...]
    what: str
    needed: int
    saved: int
    fits: bool


class Lift(msgspec.Struct, frozen=True):
    """With `bytes` more free memory where it trains, `key` of the recommended plan goes from `before` to `after`."""

    key: str
    before: str
    after: str
    bytes: int


class Recommendation(msgspec.Struct, frozen=True):
    """Three plans, lean first. `recommended` is the key of one, empty where none holds; `refusal` then says why."""

    plans: tuple[Plan, ...]
    ways: tuple[Way, ...]
    lift: tuple[Lift, ...]
    recommended: str
    refusal: Reason | None = None

    def plan(self, key: str) -> Plan:
        return next(plan for plan in self.plans if plan.key == key)
