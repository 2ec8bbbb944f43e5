"""How the results of `tunesmith data` look, for people and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunesmith.tui.cli.render import one_line, out, print_json
from tunesmith.tui.plain import for_json

if TYPE_CHECKING:
    from tunesmith.recipes.data.checking.preview import PartView, Preview
    from tunesmith.recipes.data.checking.report import Report
    from tunesmith.recipes.data.checking.statistics import Bar

MARKS = {"error": ("✗ error: ", "bold red"), "warning": ("! warning: ", "yellow"), "info": ("· note: ", "dim")}
FILES_NAMED, NOTICES_SHOWN, LABELS_SHOWN = 3, 5, 12
BAR_WIDTH = 40  # cells of the longest bar
LABEL_WIDTH = 10  # cells of a heading
TRAINED_STYLE = "green underline"
BRACKETS = ("⟦", "⟧")
SAID_ABOVE = ("rejected",)  # findings that the list of reasons already tells


def print_report(report: Report, model: str | None) -> None:
    """Rows, reasons, lengths, packing, what is wrong and what to type next; `model` as it was typed."""
    console = out()
    fact(console, "files", files_text(report))
    if report.shape is not None:
        fact(console, "shape", f"{report.shape}: {report.why}" if report.why else report.shape)
    kept, left_out = f"{report.rows_kept:,} kept", f"{report.rows_rejected:,} left out"
    styled = Text.assemble(
        f"{report.rows_read:,} read   ", (kept, "green" if report.rows_kept else "red"), "   ",
        (left_out, "yellow" if report.rows_rejected else "dim"),
    )  # fmt: skip
    fact(console, "rows", styled)
    print_reasons(console, report)
    print_tokens(console, report, model)
    if report.labels:
        shown = list(report.labels.items())[:LABELS_SHOWN]
        more = f", and {len(report.labels) - len(shown):,} more" if len(report.labels) > len(shown) else ""
        fact(console, "labels", ", ".join(f"{one_line(label, 24)} {rows:,}" for label, rows in shown) + more)
    for notice in report.notices[:NOTICES_SHOWN]:
        fact(console, "note", one_line(f"{notice.file}: {notice.text}", 300))
    if len(report.notices) > NOTICES_SHOWN:
        fact(console, "note", f"and {len(report.notices) - NOTICES_SHOWN:,} more; --json has them")
    print_findings(console, report)
    print_fixed(console, report)
    for name, command in next_steps(report, model):
        console.print(Text.assemble((f"\n{name:<{LABEL_WIDTH}}", "bold cyan"), command), soft_wrap=True, end="")
    console.print()


def fact(console: Console, name: str, value: str | Text) -> None:
    console.print(Text.assemble((f"{name:<{LABEL_WIDTH}}", "bold"), value), soft_wrap=True)


def files_text(report: Report) -> str:
    named = ", ".join(one_line(path) for path in report.files[:FILES_NAMED])
    more = f" and {len(report.files) - FILES_NAMED:,} more" if len(report.files) > FILES_NAMED else ""
    kinds = [f"{kind} {files:,}" for kind, files in report.formats.items()]
    return f"{named}{more} ({', '.join(kinds) if len(kinds) > 1 else next(iter(report.formats), '')})"


def print_reasons(console: Console, report: Report) -> None:
    """Why rows were left out, most frequent first, each with its first place."""
    if not report.reasons:
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", min_width=LABEL_WIDTH + 2)
    table.add_column(ratio=1)
    table.add_column(overflow="fold")
    for reason in report.reasons:
        place = f"{Path(reason.first.file).name}:{reason.first.line}"
        first = f"first {place}" if reason.rows > 1 else place
        table.add_row(f"{reason.rows:,}", Text(one_line(reason.first.reason, 200)), Text(one_line(first), "dim"))
    console.print(table)
    if report.rejected_file:
        fact(console, "", Text(f"  all of them, with file, line and reason: {report.rejected_file}", "dim"))


def print_tokens(console: Console, report: Report, model: str | None) -> None:
    tokens = report.tokens
    if tokens is None:
        return
    share = f" ({tokens.trained / tokens.total:.0%})" if tokens.total else ""
    fact(console, "tokens", f"half of the rows have at most {tokens.p50:,}, 95 % {tokens.p95:,}, 99 % {tokens.p99:,}, "
                            f"all {tokens.max:,}")  # fmt: skip
    fact(console, "", f"{tokens.total:,} in all, {tokens.trained:,}{share} of them learned (model: {model})")
    for line in bars(report.histogram, ascii_only=console.options.ascii_only):
        console.print(line)
    if report.packing is not None:
        packed = report.packing
        fact(console, "packing", f"{packed.rows:,} rows of {packed.max_length:,} tokens hold all; saves "
                                 f"{packed.padding_saved:.0%} of the tokens of padded batches of 8")  # fmt: skip


def bars(histogram: tuple[Bar, ...], ascii_only: bool) -> Iterator[Text]:
    """A line a bar: tokens from and to, the bar, the rows."""
    most = max((bar.rows for bar in histogram), default=0)
    labels = [f"{bar.low:,}–{bar.high:,}" if bar.high > bar.low else f"{bar.low:,}" for bar in histogram]
    width = max(map(len, labels), default=0)
    for bar, label in zip(histogram, labels, strict=True):
        cells = round(bar.rows / most * BAR_WIDTH)
        drawn = ("#" if ascii_only else "█") * cells or ("." if bar.rows else "")
        label = label.replace("–", "-") if ascii_only else label
        yield Text.assemble(f"{'':<{LABEL_WIDTH}}{label:>{width}} ", (drawn, "cyan"), f" {bar.rows:,}")


def print_findings(console: Console, report: Report) -> None:
    told = [finding for finding in report.findings if finding.code not in SAID_ABOVE]
    if told:
        console.print()
    for finding in told:
        mark, style = MARKS[finding.level]
        place = f"  (first {one_line(finding.first)})" if finding.first else ""
        console.print(Text.assemble((mark, style), one_line(finding.text, 400), (place, "dim")), soft_wrap=True)
        if finding.hint:
            console.print(Text.assemble(("   hint: ", "cyan"), one_line(finding.hint, 400)), soft_wrap=True)


def print_fixed(console: Console, report: Report) -> None:
    if report.fixed is None:
        return
    fixed = report.fixed
    console.print()
    fact(console, "written", f"{fixed.output}: {fixed.rows_written:,} of {fixed.rows_read:,} rows, "
                             f"{fixed.rows_changed:,} of them changed")  # fmt: skip
    firsts = {reason.code: one_line(reason.first.reason) for reason in report.reasons}
    for code, rows in fixed.left_out.items():
        fact(console, "", f"left out: {rows:,}  {firsts.get(code, code.replace('_', ' '))}")


def next_steps(report: Report, model: str | None) -> Iterator[tuple[str, str]]:
    """(heading, command) of what a person would do now."""
    file = report.fixed.output if report.fixed is not None else report.files[0] if report.files else ""
    named = f" --model {model}" if model else ""
    if not report.rows_kept:
        return
    if report.fixed is not None:
        yield "next", f"tunesmith data check {file}{named}"
    elif model is None:
        yield "next", f"tunesmith data check {file} --model starter      lengths, masks and packing for a model"
    else:
        yield "next", f"tunesmith data preview {file}{named}      a row as the model sees it"


def print_report_json(report: Report) -> None:
    """One line; the rejected rows go from their file to standard output without being held."""
    from tunesmith.recipes.data.checking.statistics import Tokens

    tokens = {name: None for name in Tokens.__struct_fields__} if report.tokens is None else report.tokens
    packing = {"padding_saved": None, "rows": None, "max_length": None} if report.packing is None else report.packing
    leave_out = ("rejected", "samples", "tokens", "packing", "finished")
    plain: dict[str, Any] = {
        name: getattr(report, name) for name in report.__struct_fields__ if name not in leave_out
    } | {"usable": report.usable, "tokens": tokens, "packing": packing}
    sys.stdout.write(for_json(msgspec.json.encode(plain).decode("utf-8"))[:-1] + ',"rejected":[')
    if report.rejected_file is not None:
        with Path(report.rejected_file).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                sys.stdout.write((", " if number else "") + for_json(line.rstrip("\n")))
    sys.stdout.write("]}\n")
    sys.stdout.flush()


def print_preview_json(found: Preview) -> None:
    first, *_ = found.parts
    print_json(
        {"file": found.file, "line": found.line, "shape": found.shape, "why": found.why, "label": found.label,
         "text": first.text, "ids": first.ids, "tokens": first.tokens, "trained": first.trained,
         "parts": [{name: getattr(part, name) for name in ("name", "text", "ids", "tokens", "trained")}
                   for part in found.parts]}
    )  # fmt: skip


def print_preview(found: Preview, tokens: bool) -> None:
    """The text of each part with what is learned marked, and with `tokens` every token in a line."""
    console = out()
    for part in found.parts:
        learned = sum(part.trained)
        name = f"{part.name}: " if len(found.parts) > 1 else ""
        counts = f"  {found.shape}  {name}{len(part.ids):,} tokens, {learned:,} learned"
        console.print(Text.assemble((f"{found.file}:{found.line}", "bold"), counts), soft_wrap=True)
        console.print(marked(part, brackets=not console.is_terminal or console.no_color), soft_wrap=True)
        if tokens:
            console.print(token_table(part))
    if found.label is not None:
        fact(console, "label", one_line(str(found.label)))


def marked(part: PartView, brackets: bool) -> Text:
    """The exact text; what is learned in colour and underlined, with `brackets` also between brackets."""
    text = Text()
    for run in part.runs:
        if run.trained:
            opening, closing = BRACKETS if brackets else ("", "")
            text.append(f"{opening}{visible(run.text)}{closing}", TRAINED_STYLE)
        else:
            text.append(visible(run.text))
    return text


def token_table(part: PartView) -> Table:
    table = Table("id", "token", "learned", box=None, header_style="bold", pad_edge=False)
    for token_id, token, trained in zip(part.ids, part.tokens, part.trained, strict=True):
        cell = Text(ascii_controls(token), TRAINED_STYLE if trained else "")
        table.add_row(str(token_id), cell, "yes" if trained else "")
    return table


def visible(text: str) -> str:
    """`text` with control characters, which could move the cursor or hide something, written out."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else ascii_controls(character) for character in text
    )


def ascii_controls(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
