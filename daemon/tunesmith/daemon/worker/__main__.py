"""`python -m tunesmith.daemon.worker <job folder> <attempt>`: one attempt at a job, told as events in its journal.

The one place that sets environment: libraries stay offline, use the granted cores only, and print to standard error.
The last event is Finished, Failed or Cancelled; the exit code is 0 after any of them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from tunesmith.daemon import worker_log
from tunesmith.daemon.api import disk_errors, offline
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import hub_model, load, processor
from tunesmith.daemon.worker.context import Context, Stopped
from tunesmith.daemon.worker.stages import run_all
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.errors import ErrorBody, TunesmithError
from tunesmith.recipes.machine import detect

LOOK_EVERY_S = 1.0


def main(arguments: list[str]) -> int:
    job, attempt = Path(arguments[0]), int(arguments[1])
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # by itself it would end a process that does not listen yet
    os.dup2(2, 1)  # what libraries print is the log's; the journal is a file of its own
    threading.Thread(target=keep_log_small, args=(job / f"worker-{attempt}.log",), daemon=True).start()
    cores = detect().cores
    person_is_offline = offline.is_offline(os.environ)  # before we say so to the libraries
    os.environ.pop(offline.VARIABLE, None)
    if person_is_offline:
        os.environ[offline.VARIABLE] = "1"
    os.environ.update(
        **hub_model.QUIET,  # models come through fetch only
        TRANSFORMERS_VERBOSITY="warning",
        TOKENIZERS_PARALLELISM="false",
        **processor.environment(cores),
    )
    processor.stay_on_one_node(cores)
    try:
        context = Context(job, attempt)
    except TunesmithError as error:  # no recipe, so no context to tell it through
        event = e.Failed(time=time.time(), code=error.code, message=error.message, hint=error.hint)
        with (job / f"journal-{attempt}.jsonl").open("ab") as journal:
            journal.write(e.encode(event) + b"\n")
        return 0
    started = time.monotonic()
    ending: e.Event
    try:
        bounds.confine()
        load.leave_out_unused(context.spec)
        context.listen()
        run_all(context)
        context.deafen()
        ending = e.Finished(time=time.time(), seconds=time.monotonic() - started)
    except Stopped:
        context.deafen()
        ending = e.Cancelled(time=time.time())
    except BaseException as error:  # noqa: BLE001  # whatever it was, the journal must say that it ended
        context.deafen()
        traceback.print_exc()
        body = explain(error)
        ending = e.Failed(time=time.time(), code=body.code, message=body.message, hint=body.hint, stage=context.stage)
        if context.cancelled:  # a library caught our Stopped and raised an error of its own
            ending = e.Cancelled(time=time.time())
    context.emit(ending)
    return 0


def keep_log_small(path: Path) -> None:
    """For ever. The daemon looks after it too, but may be away for days."""
    while True:
        worker_log.trim(path)
        time.sleep(LOOK_EVERY_S)


def explain(error: BaseException) -> ErrorBody:
    """What a person reads of `error`; the log has the traceback."""
    if isinstance(error, TunesmithError):
        return error.body()
    if isinstance(error, OSError) and error.errno in disk_errors.FULL:
        return ErrorBody("disk_full", f"The disk is full: {error.filename or error}", "Free some space, run again.")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return ErrorBody(
            "out_of_memory", "There was not enough memory", "Lower training.batch_size, or close other programs."
        )
    return ErrorBody("internal", f"{type(error).__name__}: {error}", "This is our fault; see the job's log.")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # engine threads would keep a finished process for seconds
