"""What was resident at most is told of each stage by itself."""

from __future__ import annotations

from collections.abc import Callable

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import resident
from tunesmith.daemon.worker.context import Context

BLOCK = 200 << 20


def lets_go() -> bool:
    """Whether this system forgets a peak when asked, seen by itself: some take the request and keep the mark."""
    block = bytearray(b"x" * BLOCK)
    high = resident.peak()
    assert len(block) == BLOCK
    del block
    resident.forget_peak()
    return resident.peak() < high - BLOCK / 2


def test_a_stage_does_not_answer_for_the_one_before(
    make_context: Callable[..., Context], told: Callable[[Context], list[e.Event]]
) -> None:
    context = make_context()
    for stage, size in (("train", BLOCK), ("evaluate", 1)):
        context.begin(stage)
        block = bytearray(b"x" * size)
        assert len(block) == size
        del block
        context.end()
    train, evaluate = (event.peak_bytes for event in told(context) if isinstance(event, e.StageFinished))
    assert train > BLOCK
    if lets_go():
        assert 0 < evaluate < train - BLOCK / 2
    else:
        assert evaluate >= train, "elsewhere the peak is the process's, never less"
