"""What a model's chat template may take of a process: processor time and memory, in processes that may be ended for it.

Jinja's sandbox keeps a template away from the interpreter, not from counting for ever or from making a text of 10 GB.
So templates only run inside `section`, in a process that called `confine`: one that takes too long is ended by an
exception, one that does not come back from a single step by the system, and memory has a limit meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tunesmith.recipes.errors import ModelError

TICK_S = 0.5  # of processor time, between two looks
CPU_S = 5.0  # for one conversation; an ordinary one takes a millisecond, one of 32 MiB about a second
KILL_S = 20.0  # of processor time in one step of the interpreter, which no exception can end
MEMORY_BYTES = 2 << 30  # more than before; a conversation of 32 MiB takes a few hundred megabytes
CODE = "template_limits"  # of the error that a template is refused with
STATM = Path("/proc/self/statm")  # proc(5): the first number is the pages of address space


class TooMuch(BaseException):
    """A template took too long. No Exception, so that neither jinja nor a library takes it for one of its own."""


TOO_MUCH = (TooMuch, MemoryError)


class _Running:
    """The section that runs now: `thread` is None outside of one. There is one at a time in a process."""

    confined = False
    thread: int | None = None
    ticks = 0
    peak_before = 0
    lock = threading.RLock()


def confine() -> None:
    """From here on templates may run in this process, and may end it. To be called in the main thread."""
    signal.signal(signal.SIGVTALRM, _tick)
    _Running.confined = True


@contextmanager
def section(kill_s: float = KILL_S) -> Iterator[None]:
    """Within it a template may run; raises TooMuch or MemoryError. Call `next_conversation` before each one.

    Memory is limited in the main thread only: other threads share it with whatever else the process does.
    """
    if not _Running.confined:
        raise RuntimeError("a chat template only runs in a process that may be ended for it")
    with _Running.lock:
        if _Running.thread is not None:  # within another section of this thread
            yield
            return
        main = threading.current_thread() is threading.main_thread()
        before = _limit_memory() if main else None
        _Running.ticks, _Running.peak_before = 0, _peak()
        _Running.thread = threading.get_ident()
        signal.setitimer(signal.ITIMER_PROF, kill_s)  # nobody handles SIGPROF: it ends the process
        signal.setitimer(signal.ITIMER_VIRTUAL, TICK_S, TICK_S)
        try:
            yield
        finally:
            thread, _Running.thread = _Running.thread, None
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if before is not None:
                resource.setrlimit(resource.RLIMIT_AS, before)
            if not main:  # what was still to be raised there
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)


def next_conversation() -> None:
    """The time counts anew."""
    _Running.ticks = 0


@contextmanager
def loading(what: str) -> Iterator[None]:
    """A section in which `what` is read and tried. Raises ModelError where that takes too much."""
    with section():
        try:
            yield
        except TOO_MUCH as error:
            raise refused(what) from error


def refused(what: str) -> ModelError:
    return ModelError(
        f"{what} takes more than {CPU_S:g} s of processor time or {MEMORY_BYTES >> 30} GiB for a conversation",
        "Do not use it: fetch the model from its publisher, or replace its chat_template.jinja.",
        CODE,
    )


def _tick(number: int, frame: FrameType | None) -> None:
    """Handler of SIGVTALRM, in the main thread."""
    thread = _Running.thread
    if thread is None:
        return
    signal.setitimer(signal.ITIMER_PROF, KILL_S)  # the interpreter still takes steps
    _Running.ticks += 1
    # macOS enforces no limit of address space, so there growth is looked at.
    grown = _peak() - _Running.peak_before if sys.platform == "darwin" else 0
    if _Running.ticks * TICK_S < CPU_S and grown < MEMORY_BYTES:
        return
    if thread == threading.main_thread().ident:
        raise TooMuch
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TooMuch))


def _limit_memory() -> tuple[int, int] | None:
    """The limits that were set before; None where the system does not say what this process has."""
    try:
        pages = int(STATM.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    if before[0] != resource.RLIM_INFINITY:
        wanted = min(wanted, before[0])
    resource.setrlimit(resource.RLIMIT_AS, (wanted, before[1]))
    return before


def _peak() -> int:
    """Bytes, on macOS; elsewhere nobody asks."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if sys.platform == "darwin" else 0
