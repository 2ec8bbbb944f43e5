"""A forecast in words: ranges, the verdict, what is missing, and what others use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tunesmith.recipes.units import bytes_text
from tunesmith.tui.texts import shown, t

if TYPE_CHECKING:
    from tunesmith.recipes.planner import Fit, Forecast, Place
    from tunesmith.recipes.planner.badge import Badge
    from tunesmith.recipes.planner.plans import Lift

FAINT = "$foreground 60%"
# verdict -> (symbol, style); the symbol alone says it where there is no colour
VERDICTS = {
    "fits": ("✓", "$success bold"),
    "tight": ("▲", "$warning bold"),
    "quantized": ("◆", "$secondary bold"),
    "not": ("✗", "$error bold"),
}
# up to how many seconds a range is said in which unit, and how many seconds that is
TIME_UNITS = ((90, "seconds", 1), (5400, "minutes", 60), (172_800, "hours", 3600), (float("inf"), "days", 86_400))


def bytes_range(low: float, high: float) -> str:
    """`1.1–1.3 GB`; both units where they differ."""
    first, last = bytes_text(low), bytes_text(high)
    if first == last:
        return last
    number, _, unit = first.partition(" ")
    return f"{number}–{last}" if last.endswith(" " + unit) else f"{first}–{last}"


def time_range(low: float, high: float) -> str:
    """`6–24 min`, in the unit that suits the longer one."""
    unit, seconds = next((name, size) for limit, name, size in TIME_UNITS if high <= limit)
    first, last = _short(low / seconds), _short(high / seconds)
    return t(f"forecast.{unit}", time=last if first == last else f"{first}–{last}")


def _short(number: float) -> str:
    """One digit after the point where that says something."""
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:.0f}"


def verdict(key: str) -> Content:
    symbol, style = VERDICTS[key]
    return Content.styled(f"{symbol} {t(f'forecast.{key}')}", style)


def missing(fit: Fit) -> str:
    """`2.1 GB of GPU memory, 4.0 GB of disk`; empty where nothing is."""
    return ", ".join(
        t("forecast.more", bytes=bytes_text(size), what=t(f"forecast.what_{what}")) for what, size in fit.short if size
    )


def peak_stage(forecast: Forecast) -> str:
    """The stage that needs most, where that is not training."""
    sizes = {one.stage: one.device_bytes if forecast.device_bytes else one.host_bytes for one in forecast.stages}
    most = max(sizes, key=lambda name: (sizes[name], name == "train"))
    return "" if most == "train" else t("forecast.peak_in", stage=t(f"run.stage_{most}"))


def summary(forecast: Forecast, fit: Fit, place: Place, *, brief: bool = False) -> list[Content]:
    """The verdict with memory, what is missing, then time, disk and how sure all of it is; `brief` in short lines."""
    peak = f"{bytes_text(forecast.bytes)} ({bytes_range(*forecast.range)})"
    free = t("forecast.free_of", free=bytes_text(place.free_bytes))
    name = "  " if brief else f"  {t('forecast.peak')} "
    lines = [Content.assemble(verdict(fit.verdict), name, (peak, "bold"), f" {free}")]
    if lack := missing(fit):
        lines.append(Content.styled(t("forecast.missing", what=lack), "$error bold"))
    elif fit.verdict == "tight":
        lines.append(Content.styled(t("forecast.tight_means"), "$warning"))
    level = f"forecast.{'short' if brief else 'level'}_{forecast.level}"
    parts = [t("forecast.disk", bytes=bytes_text(forecast.disk_bytes)), t("forecast.steps", steps=forecast.steps)]
    parts += [t(level), *filter(None, ["" if brief else peak_stage(forecast)])]
    lines.append(
        Content.assemble((time_range(*forecast.seconds_range), "bold"), *((f" · {part}", FAINT) for part in parts))
    )
    return lines


def of_job(forecast: Forecast, fit: Fit, place: Place, seconds: tuple[float, float]) -> list[Content]:
    """Of a job that trains nothing: the verdict with memory and time, then what is missing."""
    free = place.free_bytes if forecast.device_bytes or place.shared else place.host_free_bytes
    memory = f" {t('forecast.free_of', free=bytes_text(free))} · {time_range(*seconds)}"
    lines = [Content.assemble(verdict(fit.verdict), "  ", (bytes_range(*forecast.range), "bold"), (memory, FAINT))]
    if lack := missing(fit):
        lines.append(Content.styled(t("forecast.missing", what=lack), "$error bold"))
    return lines


def badge_text(badge: Badge | None, place: Place | None, *, there: bool = False) -> list[Content]:
    """How a model fits, in a line; none while nobody knows. `there`: not on this machine, so where is said."""
    if badge is None or place is None:
        return []
    said = t("forecast.badge", bytes=bytes_text(badge.bytes), free=bytes_text(place.free_bytes))
    if there:
        said = f"{t('machines.on', name=place.name)} {said}"
    if badge.verdict == "not":
        return [Content.assemble(verdict("not"), f"  {said}")]
    seconds = badge.seconds_per_1k_rows
    time = "" if seconds is None else f" · {t('forecast.badge_time', time=time_range(seconds, seconds))}"
    return [Content.assemble(verdict(badge.verdict), f"  {said}", (time, FAINT))]


def lift_text(lift: Lift) -> str:
    """`with 4.0 GB more memory: Base stored as nf4 → none`."""
    name = name_of(lift.key)
    return t("forecast.lift", bytes=bytes_text(lift.bytes), name=name, before=lift.before, after=lift.after)


def name_of(key: str) -> str:
    """A recipe value's name in the form."""
    name = key.rpartition(".")[2]
    label = shown(f"recipe.label_{name}")
    return name.replace("_", " ") if label == f"recipe.label_{name}" else label
