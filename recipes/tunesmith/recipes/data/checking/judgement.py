"""What the figures of a check mean: each finding with its level and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tunesmith.recipes.data.checking.findings import FINDINGS
from tunesmith.recipes.data.checking.report import Finding, Report

ERROR, WARNING, INFO = "error", "warning", "info"
NO_SHAPE = "no_shape"
HARMLESS = ("ends_unanswered", "media_not_checked")  # worth a word, not a warning
RARE_LABEL = 0.1  # below this share of the rows KTO sees too little of one side to balance it by weights
LONG_TAIL = 4  # times the 99th percentile: a few such rows decide how much memory a batch needs


def findings(
    report: Report, counts: Mapping[str, int], first_places: Mapping[str, str], more: Sequence[Finding] = ()
) -> tuple[Finding, ...]:
    """Errors first, `more` among them. `counts` are rows by code of FINDINGS, `first_places` the first as file:line."""
    found = [
        *more,
        *of_rows(report, any(finding.code == NO_SHAPE for finding in more)),
        *of_lengths(report),
        *of_duplicates(report),
        *of_labels(report),
        *of_codes(counts, first_places),
    ]
    return tuple(sorted(found, key=lambda finding: (ERROR, WARNING, INFO).index(finding.level)))


def of_rows(report: Report, unknown: bool) -> Iterator[Finding]:
    """`unknown`: that no shape was recognised has been said."""
    masked = report.fully_masked or 0
    if not report.rows_read:
        yield Finding(ERROR, "no_rows", "There are no rows", "Look whether these are the files you mean.")
    elif not report.rows_kept and masked == report.rows_read:
        yield Finding(
            ERROR, "all_masked", "In no row is there a token to learn from",
            "Look at one with `tunesmith data preview`; `loss` of messages, --trained and --max-length decide.", masked,
        )  # fmt: skip
    elif not report.rows_kept and not unknown:
        worst = max(report.reasons, key=lambda reason: reason.rows)
        yield Finding(
            ERROR, "none_kept", "No row can be used",
            f"Most often: {worst.first.reason}", report.rows_rejected, place(worst.first.file, worst.first.line),
        )  # fmt: skip
    elif report.rows_rejected:
        where = report.rejected_file
        yield Finding(
            WARNING, "rejected", f"{rows(report.rows_rejected)} left out",
            f"All of them, with file, line and reason: {where}" if where else "", report.rows_rejected,
            place(report.rejected[0].file, report.rejected[0].line),
        )  # fmt: skip
    if report.rows_kept and masked:
        first = next((reason.first for reason in report.reasons if reason.code == "nothing_trained"), None)
        yield Finding(
            WARNING, "fully_masked", f"{rows(masked)} without a single token to learn from",
            "They are left out; `loss` of messages, --trained and --max-length decide.", masked,
            place(first.file, first.line) if first else "",
        )  # fmt: skip


def of_lengths(report: Report) -> Iterator[Finding]:
    tokens, limit = report.tokens, report.max_length
    if tokens is None:
        return
    if report.cut and report.over_long == "error":
        yield Finding(
            ERROR, "over_long", f"{rows(report.cut)} longer than {limit} tokens; training refuses them",
            f"--max-length {tokens.max} takes all; --over-long drop leaves them out, cut_right or cut_left cut them.",
            report.cut,
        )  # fmt: skip
    elif report.cut:
        done = {"drop": "left out", "split": "split"}.get(report.over_long, "cut")
        yield Finding(WARNING, "cut", f"{rows(report.cut)} longer than {limit} tokens: {done}", "", report.cut)
    if limit is None and tokens.max > LONG_TAIL * tokens.p99:
        yield Finding(
            INFO, "long_tail", f"The longest row has {tokens.max} tokens, 99 % of the rows at most {tokens.p99}",
            f"A limit saves memory: --max-length {tokens.p99} --over-long drop",
        )  # fmt: skip


def of_duplicates(report: Report) -> Iterator[Finding]:
    if report.duplicates:
        yield Finding(
            WARNING, "duplicates", f"{rows(report.duplicates)} a copy of an earlier one",
            "--fix dedup -o clean.jsonl writes a file without them.", report.duplicates,
        )  # fmt: skip
    if report.overlap:
        yield Finding(
            WARNING, "overlap", f"{rows(report.overlap)} also in the evaluation data",
            "A score on rows that were trained on says nothing; take them out of one of the two.", report.overlap,
        )  # fmt: skip
    if report.same_question:
        count = report.same_question
        asks = "1 more row asks" if count == 1 else f"{count} more rows ask"
        yield Finding(
            WARNING, "same_question", f"{asks} a question of the evaluation data",
            "Fine for a greeting; else the evaluation is easier than it looks.", count,
        )  # fmt: skip


def of_labels(report: Report) -> Iterator[Finding]:
    if report.shape != "kto" or not report.rows_kept:
        return
    for label in ("True", "False"):
        count = report.labels.get(label, 0)
        if count < RARE_LABEL * report.rows_kept:
            yield Finding(
                WARNING, "rare_label", f"Only {count} of {report.rows_kept} rows have the label {label.lower()}",
                "KTO learns from the difference of both.", count,
            )  # fmt: skip


def of_codes(counts: Mapping[str, int], first_places: Mapping[str, str]) -> Iterator[Finding]:
    for code, count in counts.items():
        level = INFO if code in HARMLESS else WARNING
        yield Finding(level, code, f"{count} {FINDINGS[code]}", "", count, first_places.get(code, ""))


def rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"


def place(file: str, line: int) -> str:
    return f"{file}:{line}"
