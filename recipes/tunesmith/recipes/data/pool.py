"""Work on chunks in parallel processes, results in order, with a bounded number of chunks in memory."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, TypeVar

from tunesmith.recipes.data import limited
from tunesmith.recipes.machine.cpu import granted_cores

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

AHEAD = 3  # chunks a process has waiting: enough that none idles, few enough that memory stays small
ALONE = 2  # that few chunks are done before other processes have started
PARENT_LOOK_S = 1.0
BY_TEMPLATE = (-signal.SIGPROF, -signal.SIGVTALRM)  # how a process ends whose chat template took too long


def ordered(
    work: Callable[[Chunk], Result],
    chunks: Iterable[Chunk],
    processes: int | None = None,
    alone: Callable[[Chunk], Result] | None = None,
) -> Iterator[Result]:
    """`work(chunk)` of every chunk, in the order of the chunks; `work` and chunks must be picklable.

    `processes` work beside this one, None: as many as there are cores. With one core, or when there are only a few
    chunks, everything is done by `alone`: `work` in this process when it is not given. Raises what `work` raises, and
    MachineError when a process is killed (by a lack of memory, mostly), ModelError when that was for a chat template.
    Closing the iterator ends the processes.
    """
    cores = granted_cores()
    count = processes or cores
    chunks = iter(chunks)
    first = list(islice(chunks, ALONE + 1))
    if (processes is None and cores == 1) or len(first) <= ALONE:
        yield from map(alone or work, chain(first, chunks))
        return
    # spawn: a fork of a process with threads can hang, and torch has threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=end_with, initargs=(os.getpid(),))
    try:
        started: dict[int, Any] = {}
        waiting: deque[Future[Result]] = deque()
        for chunk in chain(first, chunks):
            waiting.append(pool.submit(work, chunk))
            started |= pool._processes or {}  # a pool that broke has forgotten which processes it had
            if len(waiting) >= count * AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        codes = [process.exitcode for process in started.values()]
        raise limited.why_ended(next((code for code in codes if code in BY_TEMPLATE), None)) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def end_with(parent: int) -> None:
    """In a process of the pool: `settle`, and let what a person waits for, or a training beside us, go first."""
    os.nice(15)
    settle(parent)


def settle(parent: int) -> None:
    """Be quiet, use one thread, run chat templates here, and end when the parent does, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c is for the process that waits for us
    limited.stay()
    # The processes are the parallelism; threads that wait for each other busily would take half of the time.
    os.environ |= limited.ENVIRONMENT
    # Rows make many objects and next to no cycles; looking for these after every 700 objects takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000)
    threading.Thread(target=watch, args=(parent,), daemon=True).start()


def watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK_S)
    os._exit(1)
