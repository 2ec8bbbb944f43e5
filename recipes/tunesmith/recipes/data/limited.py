"""A child process for what may hang or want all memory, beside a process that must live on: the wizard, a command.

`python -m tunesmith.recipes.data.limited` is that child: pickled calls on standard input, pickled answers on standard
output. It is started by the first `call`, keeps what it loaded for the next one, and ends with its parent.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, ParamSpec, TypeVar

from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.errors import MachineError, ModelError, TunesmithError

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

# Work is the parallelism here; threads of libraries that wait for each other busily would take half of the time.
ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "FASTOKENS_BPE_THREADS": "1"}


class _Child:
    """Of this process; at most one, and one call at a time."""

    process: subprocess.Popen[bytes] | None = None
    here = False  # this process is such a child itself, or one of a pool of them
    busy = False
    lock = threading.Lock()


def stay() -> None:
    """Calls are done in this process: it may be ended for them. To be called in the main thread."""
    bounds.confine()
    _Child.here = True


def call(work: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
    """`work(*arguments, **options)` done in the child; all of it and the result must be picklable.

    Raises the TunesmithError that `work` raises, ModelError where the child was ended for a chat template that does
    not come to an end, MachineError where it ended otherwise.
    """
    if _Child.here:
        return work(*arguments, **options)
    with _Child.lock:
        process = _started()
        _Child.busy = True
        try:
            assert process.stdin is not None and process.stdout is not None
            pickle.dump((work, arguments, options), process.stdin)
            process.stdin.flush()
            done, value = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise why_ended(_ended(process)) from error
        finally:
            _Child.busy = False
    if done:
        result: Result = value
        return result
    raise value


def interrupt() -> None:
    """End the child if it works: nobody waits for its answer any more. From any thread."""
    process = _Child.process
    if _Child.busy and process is not None:
        process.kill()


def end() -> None:
    """End the child and give back its memory; the next call starts another."""
    with _Child.lock:
        if _Child.process is not None:
            _Child.process.kill()
            _ended(_Child.process)
            _Child.process = None


def why_ended(code: int | None) -> TunesmithError:
    """What a child that ended in the middle of its work ended of, by its exit code."""
    if code is not None and -code in (signal.SIGPROF, signal.SIGVTALRM):
        return bounds.refused("The chat template or the tokenizer of the model")
    return MachineError(
        "A process that prepares data was ended from outside", "Most often memory ran out; close other programs."
    )


def _started() -> subprocess.Popen[bytes]:
    if _Child.process is None or _Child.process.poll() is not None:
        atexit.unregister(_kill)
        atexit.register(_kill)
        _Child.process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=os.environ | ENVIRONMENT,
        )  # fmt: skip
    return _Child.process


def _kill() -> None:
    """At the end of this process: without the lock, which a thread that is left behind may hold."""
    if _Child.process is not None:
        _Child.process.kill()


def _ended(process: subprocess.Popen[bytes]) -> int:
    with suppress(OSError):
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
    return process.wait()


def serve(calls: IO[bytes], answers: IO[bytes]) -> None:
    """Until `calls` ends."""
    while True:
        answer: tuple[bool, Any]
        try:
            work, arguments, options = pickle.load(calls)
            answer = True, work(*arguments, **options)
        except EOFError:
            return
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever called, and is raised there
            answer = False, error if isinstance(error, Exception) else panic(error)
        answers.write(pickle.dumps(answer))
        answers.flush()


def panic(error: BaseException) -> ModelError:
    """What libraries written in Rust raise where they give up is no Exception, and cannot be pickled."""
    return ModelError(
        f"A library gave up over the model's files: {type(error).__name__}: {error}", "Fetch the model again.",
        "model_files",
    )  # fmt: skip


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not stand between answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c is for the process that waits for us
    from tunesmith.recipes.data import pool

    pool.settle(os.getppid())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
