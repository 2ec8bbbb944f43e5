"""How a recommendation looks: three plans side by side, the reasons of one, what shrinks it and what lifts it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunesmith.recipes.planner import inference
from tunesmith.recipes.planner.fit import FITS
from tunesmith.recipes.units import bytes_text, count_text, duration_text
from tunesmith.tui.cli import render
from tunesmith.tui.plain import plain
from tunesmith.tui.plan_text import reason
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.recipes.planner.inference import Chat
    from tunesmith.recipes.planner.learned import Correction
    from tunesmith.recipes.planner.plans import Plan, Recommendation
    from tunesmith.tui.cli.plan_inputs import Asked

# A glyph and a colour each: colour is never the only sign.
PARTS = {
    "weights": ("█", "blue"),
    "adapter": ("▓", "cyan"),
    "gradients": ("▒", "magenta"),
    "optimizer": ("░", "yellow"),
    "activations": ("▚", "green"),
    "logits": ("▞", "red"),
    "runtime": ("▪", "bright_black"),
}
VERDICTS = {"fits": ("✓", "green"), "tight": ("!", "yellow"), "not": ("✗", "red")}
LABEL = 13  # cells of the first column
EXPLICIT = "*"
CHAT_TOKENS = 4096  # the context that a chat with the export has
LONG_S = 2 * 86400.0  # a run that takes longer wants another model or machine


def print_json(asked: Asked, found: Recommendation) -> None:
    """The whole recommendation, with the sums that its forecasts have as properties."""
    plans = [
        msgspec.to_builtins(plan)
        | {
            "bytes": plan.forecast.bytes,
            "bytes_range": plan.forecast.range,
            "seconds": plan.forecast.seconds,
            "seconds_range": plan.forecast.seconds_range,
            "disk_bytes": plan.forecast.disk_bytes,
            "chat_bytes": chat.bytes if (chat := chatting(asked, plan)) else None,
        }
        for plan in found.plans
    ]
    render.print_json(
        {
            "model": asked.model.title,
            "parameters": asked.model.facts.parameters,
            "place": asked.place,
            "simulated": asked.simulated,
            "notes": asked.notes,
            "rows": asked.rows,
            "counted": asked.sampled is not None and asked.sampled.counted,
            "sampled": asked.sampled is not None and asked.sampled.sampled,
        }
        | msgspec.to_builtins(found)
        | {"plans": plans}
    )


def print_plans(asked: Asked, found: Recommendation, which: str | None, correction: Correction | None = None) -> None:
    """`which` plan is explained: else the recommended one, else the lean. `correction` is that of its kind of run."""
    console = render.out()
    for line in about(asked, correction):
        console.print(line)
    console.print()
    console.print(compared(asked, found, console.width))
    chosen = found.plan(which or found.recommended or found.plans[0].key)
    if found.refusal is not None:
        console.print(Text.assemble(("\n✗ ", "bold red"), plain(reason(found.refusal))))
    elif chosen.forecast.seconds > LONG_S:
        days = f"{chosen.forecast.seconds / 86400:.1f}"
        console.print(Text.assemble(("\n! ", "yellow"), t("plan.long", days=days)))
    console.print(Text("\n" + t("plan.why", plan=t(f"plan.{chosen.key}")), "bold"))
    console.print(reasons(chosen))
    print_ways(console, found)
    if found.recommended:
        console.print(Text.assemble(("\n" + t("plan.next"), "bold cyan"), f"  {following(asked)}"), soft_wrap=True)


def about(asked: Asked, correction: Correction | None) -> Iterator[Text]:
    """What the plans are for: model, machine, rows; what is assumed, estimated or corrected is said."""
    facts, place = asked.model.facts, asked.place
    size = t("plan.model", parameters=count_text(facts.parameters), layers=facts.layers)
    yield Text.assemble((plain(asked.model.title), "bold"), f"  {size}")
    if not facts.known:
        yield Text(t("plan.unknown_architecture", name=plain(facts.model_type)), "yellow")
    device = t("plan.device", free=bytes_text(place.free_bytes), total=bytes_text(place.memory_bytes))
    yield Text.assemble((plain(place.name), "bold"), f"  {device}", f"  ({t('plan.simulated')})" * asked.simulated)
    for note in asked.notes:
        yield Text.assemble(("! ", "yellow"), plain(note))
    if correction is not None:
        change = f"{correction.memory - 1:+.0%}"
        yield Text(t("plan.corrected", runs=correction.runs, memory=change, seconds=f"{correction.seconds:.1f}"))
    rows = asked.rows
    values = {"rows": f"{rows.rows + rows.held_out:,}", "longest": f"{rows.longest:,}", "mean": f"{rows.mean:,.0f}"}
    if asked.sampled is None:
        yield Text(t("plan.rows_assumed", **values), "yellow")
        return
    yield Text(t("plan.rows_counted" if asked.sampled.counted else "plan.rows_estimated", **values))
    if asked.sampled.sampled:
        yield Text(t("plan.rows_sampled", looked_at=f"{asked.sampled.looked_at:,}"))


def compared(asked: Asked, found: Recommendation, width: int) -> Table:
    """A column a plan."""
    table = Table.grid(padding=(0, 2))
    table.add_column(width=LABEL, no_wrap=True)
    cells = max(12, (width - LABEL - 2 * len(found.plans)) // len(found.plans) - 1)
    for _ in found.plans:
        table.add_column(width=min(cells, 32), overflow="fold")
    recommended = {plan.key: f" ({t('plan.recommended')})" * (plan.key == found.recommended) for plan in found.plans}
    table.add_row("", *(Text(t(f"plan.{plan.key}") + recommended[plan.key], "bold") for plan in found.plans))
    table.add_row(t("plan.row_verdict"), *(verdict(plan) for plan in found.plans))
    scale = max(asked.place.free_bytes, *(plan.forecast.bytes for plan in found.plans))
    bars = [bar(plan, scale, asked.place.free_bytes, min(cells, 32)) for plan in found.plans]
    table.add_row(t("plan.row_memory"), *bars)
    for key, (glyph, style) in PARTS.items():
        sizes = [next((part.bytes for part in plan.forecast.parts if part.key == key), 0) for plan in found.plans]
        if any(sizes):
            label = Text.assemble((glyph, style), f" {t(f'plan.part_{key}')}")
            table.add_row(label, *(Text(bytes_text(size) if size else "-") for size in sizes))
    table.add_row(t("plan.row_peak"), *(Text(peak(plan)) for plan in found.plans))
    table.add_row(t("plan.row_time"), *(Text(times(plan)) for plan in found.plans))
    table.add_row(t("plan.row_disk"), *(Text(bytes_text(plan.forecast.disk_bytes)) for plan in found.plans))
    chats = [chatting(asked, plan) for plan in found.plans]
    if any(chats):
        table.add_row(t("plan.row_chat"), *(Text(bytes_text(chat.bytes) if chat else "-") for chat in chats))
    for name, values in settings(found):
        table.add_row(name, *values)
    return table


def chatting(asked: Asked, plan: Plan) -> Chat | None:
    """What the smallest file that a plan exports takes to chat with; None where there is none."""
    variants = [target.partition(":")[2] for target in plan.spec.exports if target.startswith("gguf:")]
    chats = [inference.chat(asked.model.facts, variant, CHAT_TOKENS) for variant in variants]
    return min(chats, key=lambda chat: chat.bytes, default=None)


def settings(found: Recommendation) -> Iterator[tuple[str, list[Text]]]:
    """The values in which plans differ at a glance."""
    for label, keys in (
        (t("plan.row_tuner"), ("tuner.kind", "tuner.rank")),
        (t("plan.row_base"), ("quantization", "training.dtype")),
        (t("plan.row_length"), ("training.max_length",)),
        (t("plan.row_step"), ("training.batch_size",)),
        (t("plan.row_rate"), ("training.learning_rate",)),
    ):
        texts = []
        for plan in found.plans:
            values = {choice.key: choice.value + EXPLICIT * choice.explicit for choice in plan.choices}
            texts.append(Text(" ".join(values[key] for key in keys if key in values)))
        yield label, texts


def verdict(plan: Plan) -> Text:
    mark, style = VERDICTS[plan.fit.verdict]
    text = Text(f"{mark} {t(f'plan.{plan.fit.verdict}')}", style)
    if plan.fit.verdict != FITS:
        missing = [
            t("plan.missing", bytes=bytes_text(size), what=t(f"plan.what_{what}")) if size else t(f"plan.what_{what}")
            for what, size in plan.fit.short
        ]
        text.append(f" ({', '.join(missing)})" if missing else "")
    return text


def bar(plan: Plan, scale: int, free: int, cells: int) -> Text:
    """Stacked, as long as what it takes; │ is where the free memory ends."""
    text = Text()
    drawn = total = 0
    for key, (glyph, style) in PARTS.items():
        total += next((part.bytes for part in plan.forecast.parts if part.key == key), 0)
        until = round(total / scale * (cells - 1))
        text.append(glyph * max(0, until - drawn), style)
        drawn = max(drawn, until)
    end = round(free / scale * (cells - 1))
    if end >= drawn:
        text.append(" " * (end - drawn) + "│")
    return text


def peak(plan: Plan) -> str:
    """`8.2 (6.1-11.0) GB`; each with its unit where these differ."""
    sizes = [bytes_text(size) for size in (plan.forecast.bytes, *plan.forecast.range)]
    units = {size.split()[1] for size in sizes}
    if len(units) > 1:
        return f"{sizes[0]} ({sizes[1]}-{sizes[2]})"
    middle, low, high = (size.split()[0] for size in sizes)
    return f"{middle} ({low}-{high}) {units.pop()}"


def times(plan: Plan) -> str:
    low, high = plan.forecast.seconds_range
    return f"{duration_text(low)}-{duration_text(high)}"


def reasons(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(max_width=20, overflow="fold")
    table.add_column(overflow="fold")
    for choice in plan.choices:
        key = choice.key.removeprefix("training.")
        table.add_row(Text(key), Text(plain(choice.value), "bold"), Text(plain(reason(choice.reason))))
    return table


def print_ways(console: Console, found: Recommendation) -> None:
    if found.ways:
        console.print(Text("\n" + t("plan.ways"), "bold"))
        table = Table.grid(padding=(0, 2))
        for way in found.ways:
            changed = ", ".join(f"{change.key}: {change.before} → {change.after}" for change in way.changes)
            table.add_row(f"-{bytes_text(way.saved)}", Text(changed))
        console.print(table)
    if found.lift:
        console.print(Text("\n" + t("plan.lifts"), "bold"))
        table = Table.grid(padding=(0, 2))
        for lift in found.lift:
            table.add_row(f"+{bytes_text(lift.bytes)}", Text(f"{lift.key}: {lift.before} → {lift.after}"))
        console.print(table)


def following(asked: Asked) -> str:
    """What to type to run it."""
    if asked.model.source is None:
        return t("plan.next_folder")
    model = asked.model.source
    given = [source.path for source in asked.spec.data.sources] if asked.sampled else ["FILE"]
    data = "".join(f" --data {shlex.quote(path)}" for path in given)
    return f"tunesmith plan --model {shlex.quote(model)}{data} --write recipe.yaml"
