"""A process with the engines loaded that forks a real worker for every attempt, so that each begins within a second.

A line of standard input is a `Wanted`; a line of standard output is the worker's pid, the next how it ended.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import sys
from pathlib import Path

import msgspec


class Wanted(msgspec.Struct):
    """An attempt at the job in `folder`, with these environment variables."""

    folder: str
    attempt: int
    environment: dict[str, str] = {}


def worker(wanted: Wanted) -> None:
    """Never returns."""
    from tunesmith.daemon.worker.__main__ import main

    os.setsid()
    os.environ.update(wanted.environment)
    output = os.open(Path(wanted.folder) / f"worker-{wanted.attempt}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable()  # a worker that hangs is ended by SIGABRT, and its log says where it stood
    code = 70  # an error that the worker did not tell of
    try:
        code = main([wanted.folder, str(wanted.attempt)])
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="warning", TOKENIZERS_PARALLELISM="false")
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # as a worker whose recipe does not use it does
    import peft  # noqa: F401
    import torch  # noqa: F401
    from trl import SFTTrainer  # noqa: F401

    from tunesmith.daemon.worker import __main__, stages

    for _, modules in stages.STAGES["train"]:
        for module in modules:
            importlib.import_module(f"{__main__.__package__}.{module}")
    print("ready", flush=True)
    for line in sys.stdin:
        wanted = msgspec.json.decode(line, type=Wanted)
        pid = os.fork()
        if pid == 0:
            worker(wanted)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
