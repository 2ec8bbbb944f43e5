"""The list of jobs as lines: all of them once, then what changed and what is gone."""

from __future__ import annotations

import msgspec
from daemon_process import DaemonProcess

from tunesmith.daemon.api.view import JobView
from tunesmith.daemon.changed_lines import ChangedLines


def test_after_the_first_answer_only_changes_are_told() -> None:
    kept = ChangedLines()
    for number in range(1, 4):
        kept.put(JobView(number, f"run {number}"))
    first = kept.since("")
    assert first.whole and {line.id for line in first.lines} == {1, 2, 3}
    assert kept.since(first.after).lines == ()
    kept.put(JobView(2, "run 2", state="running"))
    kept.put(JobView(3, "run 3"))  # as it was
    kept.remove(1)
    then = kept.since(first.after)
    assert ([line.state for line in then.lines], then.removed, then.whole) == (["running"], (1,), False)
    assert kept.since(then.after).lines == ()


def test_another_daemon_s_number_gives_all_of_them() -> None:
    kept, other = ChangedLines(), ChangedLines()
    for lines in (kept, other):
        lines.put(JobView(1, "run"))
    assert kept.since(other.since("").after).whole
    assert kept.since("nonsense.x").whole and kept.since("²").whole


async def test_a_daemon_tells_them_and_forgets_the_removed(daemon: DaemonProcess) -> None:
    view = await daemon.submit()
    await daemon.until(view.id, "finished")
    first = await daemon.client.lines()
    (line,) = first.lines
    assert (line.id, line.state, line.name) == (view.id, "finished", "toy")
    assert len(msgspec.json.encode(line)) < 400  # ten thousand of them are a few megabytes
    await daemon.client.remove(view.id)
    then = await daemon.client.lines(first.after)
    assert (then.lines, then.removed) == ((), (view.id,))
