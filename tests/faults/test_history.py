"""The history checker itself: every broken promise is told, and a kept one is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from history import (
    Acknowledged,
    Job,
    Odd,
    Record,
    Removed,
    Replied,
    Saw,
    decoded,
    left_behind,
    on_disk,
    violations,
    without_process,
)

from tunesmith.daemon import publish
from tunesmith.daemon.api.home import Home

DONE = ((1, "queued", None), (2, "started", 1), (3, "train_step", None), (4, "finished", None))
AGAIN = ((1, "queued", None), (2, "started", 1), (3, "failed", None), (4, "queued", None), (5, "started", 2))
JOB = Job(1, "a", "finished", DONE)
KEPT: list[Record] = [
    Acknowledged("a", 1), Acknowledged("a", 1), Saw("s", 1, 1, "queued"), Saw("s", 1, 2, "started"),
    Saw("s", 1, 3, "train_step"), Replied(1, 3, "running"), Replied(1, 4, "finished"),
]  # fmt: skip


def test_kept_promises_are_no_violation() -> None:
    assert violations(KEPT, [JOB, Job(2, "b", "running", AGAIN)]) == []


@pytest.mark.parametrize(
    ("record", "invariant"),
    [
        (Acknowledged("a", 2), "I1"),  # the same key, another job
        (Acknowledged("b", 1), "I1"),  # another key, the same job
        (Acknowledged("c", 7), "I1"),  # lost
        (Saw("t", 1, 2, "started"), "I10"),  # a gap
        (Saw("s", 1, 3, "train_step"), "I10"),  # a duplicate
        (Saw("s", 1, 4, "failed"), "I1"),  # seen, and something else is kept
        (Replied(1, 5, "finished"), "I1"),  # told, and not kept
        (Replied(1, 4, "cancelled"), "I2"),  # ended twice
        (Odd("status 500"), "odd"),
    ],
)
def test_a_broken_promise_is_told(record: Record, invariant: str) -> None:
    found = violations([*KEPT, record], [JOB])
    assert found and all(text.startswith(f"{invariant}:") for text in found if "acknowledged" not in text), found


@pytest.mark.parametrize(
    ("job", "invariant"),
    [
        (Job(1, "a", "finished", (*DONE, (5, "train_step", None))), "I2"),  # an event after the end
        (Job(1, "a", "running", DONE), "I2"),  # the state says another thing
        (Job(1, "a", "finished", (*DONE[:3], (5, "finished", None))), "I10"),
        (Job(1, "a", "running", (*AGAIN[:4], (5, "started", 1))), "I2"),  # an attempt twice
    ],
)
def test_a_broken_history_is_told(job: Job, invariant: str) -> None:
    assert any(text.startswith(invariant) for text in violations([], [job]))


def test_a_gap_that_is_told_is_none() -> None:
    told = [Saw("s", 1, 1, "queued"), Saw("s", 1, 3, "gap"), Saw("s", 1, 4, "finished")]
    assert violations(told, [JOB]) == []


def test_a_job_that_was_to_be_removed_may_be_gone() -> None:
    assert violations([*KEPT, Removed(1)], [JOB]) == []
    assert violations([*KEPT, Removed(1)], []) == []
    assert violations([*KEPT, Removed(2)], []) != []


def test_a_record_whose_writer_was_killed_is_read_to_its_last_whole_line() -> None:
    assert decoded(b'{"record":"acknowledged","key":"a","job":1}\n{"record":"sa') == [Acknowledged("a", 1)]


def test_running_without_a_process_is_told() -> None:
    assert without_process([(1, "running", 10), (2, "queued", None), (3, "running", 11)], {10}) == [
        "I3: job 3 is running and its process 11 is gone"
    ]


def test_what_is_partial_or_left_on_disk_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    artifacts = home.job(1) / "artifacts"
    artifacts.mkdir(parents=True)
    (home.job(1) / "spec.json").write_text("{}")
    with publish.staging(artifacts / "good.bin") as staged:
        staged.write_bytes(b"good")
        publish.publish_file(staged, artifacts / "good.bin")
    assert on_disk(home, [JOB]) == [] and left_behind(home) == []
    (artifacts / "good.bin").write_bytes(b"goo")
    (artifacts / ".other.staged-7").touch()
    (home.job(1) / "submitted.json").write_text('{"ro')
    assert [text[:3] for text in on_disk(home, [JOB])] == ["I5:", "I5:"]
    assert [text[:3] for text in left_behind(home)] == ["I7:"]
    (home.job(1) / "spec.json").unlink()
    assert any(text.startswith("I1") for text in on_disk(home, [JOB]))
