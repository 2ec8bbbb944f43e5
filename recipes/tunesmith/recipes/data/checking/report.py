"""What a check of data files found: the growing Report that the command prints and the wizard draws."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.data.checking.packing import Packing
from tunesmith.recipes.data.checking.statistics import Bar, Tokens
from tunesmith.recipes.data.rows import FileNotice, RejectedRow, Sample


class Reason(msgspec.Struct, frozen=True):
    """Why `rows` rows were left out, by code of REASONS, with the first of them."""

    code: str
    rows: int
    first: RejectedRow


class Finding(msgspec.Struct, frozen=True):
    """Something a person should know; `level` is error (training would refuse or learn nothing), warning or info."""

    level: str
    code: str
    text: str
    hint: str = ""
    rows: int = 0
    first: str = ""  # file:line


class Fixed(msgspec.Struct, frozen=True):
    """What `--fix` wrote to `output`: rows_read == rows_written + the sum of `left_out` (a reason and its rows)."""

    output: str
    rows_read: int
    rows_written: int
    rows_changed: int
    left_out: dict[str, int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`rows_read == rows_kept + rows_rejected` in every report; figures that need all rows come with the last one.

    `shape` is None where no row has a known one; `tokens`, `fully_masked`, `packing` are None without a model,
    `overlap` (rows that are also in the evaluation data) and `same_question` (others that end with the same question
    as one of it) without an evaluation file. `rejected` and `samples` hold the first few,
    `rejected_file` all. `cut` counts rows that the length limit cuts or refuses.
    """

    files: tuple[str, ...]
    formats: dict[str, int]  # format (with its compression) -> files
    shape: str | None = None
    why: str = ""
    mapping: dict[str, str] = {}
    model: str | None = None
    max_length: int | None = None
    over_long: str = "error"
    rows_read: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    reasons: tuple[Reason, ...] = ()
    rejected: tuple[RejectedRow, ...] = ()
    rejected_file: str | None = None
    notices: tuple[FileNotice, ...] = ()
    tokens: Tokens | None = None
    histogram: tuple[Bar, ...] = ()
    fully_masked: int | None = None
    duplicates: int = 0
    cut: int = 0
    labels: dict[str, int] = {}
    overlap: int | None = None
    same_question: int | None = None
    packing: Packing | None = None
    findings: tuple[Finding, ...] = ()
    samples: tuple[Sample, ...] = ()
    fixed: Fixed | None = None
    finished: bool = False
    seconds: float = 0.0

    @property
    def usable(self) -> bool:
        return self.rows_kept > 0 and not any(finding.level == "error" for finding in self.findings)
