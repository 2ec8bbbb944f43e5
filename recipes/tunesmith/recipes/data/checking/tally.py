"""The figures of a check while it runs: chunks go in, a Report comes out at any time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from tunesmith.recipes.data.checking import judgement, packing
from tunesmith.recipes.data.checking.report import Finding, Reason, Report
from tunesmith.recipes.data.checking.statistics import Lengths
from tunesmith.recipes.data.duplicates import Seen
from tunesmith.recipes.data.examine import Examined
from tunesmith.recipes.data.rows import FileNotice, RejectedRow, Sample

REJECTED_KEPT = 200  # rejected rows in a report; the file has all
SAMPLES_KEPT = 50
NOTICES_KEPT = 100


class Evaluation:
    """What the evaluation rows say, as hashes of their content and of their last question."""

    def __init__(self) -> None:
        self.rows, self.questions = Seen(), Seen()

    def add(self, examined: Examined) -> None:
        self.rows.add(examined.hashes)
        self.questions.add(examined.questions[examined.questions != 0])


class Tally:
    """Counts chunks. `start` is the report before the first row: what is checked and how."""

    def __init__(self, start: Report, evaluation: Evaluation | None) -> None:
        self.start, self.evaluation = start, evaluation
        self.began = time.monotonic()
        self.rows_read = self.rows_kept = self.fully_masked = self.cut = 0
        self.duplicates = self.overlap = self.same_question = 0
        self.rejected: list[RejectedRow] = []
        self.reasons: Counter[str] = Counter()
        self.first: dict[str, RejectedRow] = {}
        self.notices: dict[tuple[str, str], FileNotice] = {}
        self.labels: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.first_places: dict[str, str] = {}
        self.samples: list[Sample] = []
        self.lengths, self.batches, self.seen = Lengths(), packing.Batches(), Seen()

    def add(self, examined: Examined) -> None:
        """Count a chunk in."""
        self.rows_read += examined.rows_read
        self.rows_kept += examined.rows_kept
        self.cut += examined.cut
        self.fully_masked += examined.fully_masked
        self.labels += examined.labels
        self.codes += examined.findings
        for code, where in examined.first_places.items():
            self.first_places.setdefault(code, where)
        self.samples += examined.samples[: SAMPLES_KEPT - len(self.samples)]
        self.take_rejected(examined.rejected)
        for notice in examined.notices:
            self.notice(notice)
        self.duplicates += int(self.seen.add(examined.hashes).sum())
        if self.evaluation is not None:
            same = self.evaluation.rows.contains(examined.hashes)
            self.overlap += int(same.sum())
            self.same_question += int((self.evaluation.questions.contains(examined.questions) & ~same).sum())
        if self.start.model is not None:
            self.lengths.add(examined.lengths, examined.trained)
            self.batches.add(packing.as_trained(examined.lengths, self.start.max_length, self.start.over_long))

    def reject(self, rows: Sequence[RejectedRow]) -> None:
        """Count rows in that were read and cannot be used."""
        self.rows_read += len(rows)
        self.take_rejected(rows)

    def take_rejected(self, rows: Sequence[RejectedRow]) -> None:
        self.rejected += rows[: REJECTED_KEPT - len(self.rejected)]
        for row in rows:
            self.reasons[row.code] += 1
            self.first.setdefault(row.code, row)

    def notice(self, notice: FileNotice) -> None:
        if len(self.notices) < NOTICES_KEPT:
            self.notices.setdefault((notice.file, notice.text), notice)

    def report(self) -> Report:
        """So far; what needs all rows is not in it."""
        measured = self.start.model is not None
        return msgspec.structs.replace(
            self.start,
            rows_read=self.rows_read,
            rows_kept=self.rows_kept,
            rows_rejected=self.reasons.total(),
            reasons=tuple(Reason(code, rows, self.first[code]) for code, rows in self.reasons.most_common()),
            rejected=tuple(self.rejected),
            notices=tuple(self.notices.values()),
            tokens=self.lengths.summary(),
            histogram=self.lengths.histogram(),
            fully_masked=self.fully_masked if measured else None,
            duplicates=self.duplicates,
            cut=self.cut,
            labels=dict(self.labels.most_common()),
            overlap=None if self.evaluation is None else self.overlap,
            same_question=None if self.evaluation is None else self.same_question,
            samples=tuple(self.samples),
            seconds=round(time.monotonic() - self.began, 2),
        )

    def finished(self, rejected_file: str | None, more: Sequence[Finding]) -> Report:
        """The last report, `more` findings included."""
        report = msgspec.structs.replace(
            self.report(),
            packing=packing.estimate(self.batches, self.start.max_length) if self.lengths.rows_by_length else None,
            rejected_file=rejected_file,
            finished=True,
        )
        return msgspec.structs.replace(report, findings=judgement.findings(report, self.codes, self.first_places, more))
