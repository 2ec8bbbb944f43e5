"""The lists of `tunesmith plan`: machines that can be simulated, and models with what fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tunesmith.recipes.units import bytes_text, count_text, duration_text, flops_text
from tunesmith.tui.cli.render import err, out, print_json
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.recipes.planner.place import Place

STYLES = {"fits": "green", "tight": "yellow", "quantized": "cyan", "not": "red"}
MARKS = {"fits": "✓", "tight": "!", "quantized": "4", "not": "✗"}


def machines(as_json: bool) -> None:
    from tunesmith.recipes.machine import known

    rows = list(known.all_known().values())
    if as_json:
        print_json(
            {
                "machines": [
                    {"key": row.key, "name": row.name, "kind": row.kind, "memory_bytes": row.memory_bytes}
                    for row in rows
                ]
            }
        )
        return
    table = grid(t("plan.column_key"), t("plan.column_name"), t("plan.column_memory"), "bfloat16")
    for row in rows:
        rate = flops_text(row.bf16_flops) if row.bf16_flops else "-"
        table.add_row(Text(row.key), Text(row.name), bytes_text(row.memory_bytes), rate)
    out().print(table)


def models(place: Place, as_json: bool) -> None:
    """With a badge each: for LoRA over rows of ordinary length."""
    from tunesmith.recipes.models import catalogue
    from tunesmith.recipes.planner.badge import badge

    found = [(entry, badge(entry.facts, place)) for entry in catalogue.catalogue()]
    if as_json:
        print_json(
            {
                "place": place.name,
                "models": [
                    {
                        "key": entry.key,
                        "id": entry.huggingface,
                        "parameters": entry.parameters,
                        "verdict": one.verdict,
                        "bytes": one.bytes,
                        "seconds_per_1k_rows": one.seconds_per_1k_rows,
                    }
                    for entry, one in found
                ],
            }
        )
        return
    err().print(t("plan.models_for", place=place.name, free=bytes_text(place.free_bytes)))
    columns = ("column_fit", "column_key", "column_parameters", "column_memory", "column_time")
    table = grid(*(t(f"plan.{column}") for column in columns))
    for entry, one in found:
        seconds = one.seconds_per_1k_rows
        table.add_row(
            Text(f"{MARKS[one.verdict]} {t(f'plan.{one.verdict}')}", STYLES[one.verdict]),
            Text(entry.key),
            count_text(entry.parameters),
            bytes_text(one.bytes),
            "-" if seconds is None or one.verdict == "not" else duration_text(seconds),
        )
    out().print(table)


def grid(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(Text(column), overflow="fold" if number == 0 else "ellipsis", no_wrap=number < 2)
    return table
