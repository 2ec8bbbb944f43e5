"""What a command shows of a run's public benchmarks: a table with intervals, and whose code was run."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunesmith.daemon.api.view import JobView
from tunesmith.tui.benchmarks_text import rows
from tunesmith.tui.plain import plain


def print_benchmarks(view: JobView, console: Console) -> None:
    """Nothing where none was run."""
    found = list(rows(view))
    if not found:
        return
    table = Table(title="public benchmarks, with 95 % intervals", box=None, header_style="bold", title_justify="left",
                  pad_edge=False)  # fmt: skip
    both = any(row.change for row in found)
    for name in (
        "suite",
        "measure",
        "questions",
        *(("before",) if both else ()),
        "after",
        *(("change",) if both else ()),
    ):
        table.add_column(name, no_wrap=name not in ("suite", "measure"))
    for row in found:
        figures = (row.base, row.tuned, row.change) if both else (row.tuned or row.base,)
        table.add_row(*map(Text, (row.title, row.metric, str(row.questions), *figures)))
    console.print(table)
    console.print(Text(plain(f"run by {', '.join(dict.fromkeys(row.tool for row in found))}")), soft_wrap=True)
    for path in dict.fromkeys(one.own_code for one in view.benchmarks if one.own_code):
        console.print(Text(plain(f"with Python code of: {path}")), soft_wrap=True)
