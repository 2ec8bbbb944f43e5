"""What a daemon found when it started, of what the one before it left: kept in the home, shown by `jobs recover`."""

from __future__ import annotations

import msgspec

FORMAT = "tunesmith-recovery"
FORMAT_VERSION = 1
KEPT = 10  # starts at which something was found; a machine that restarts every day shows its last week


class Finding(msgspec.Struct, frozen=True):
    """`kind` is adopted, requeued, interrupted, ended (while no daemon watched), restored, repaired, cleaned, stopped
    (a worker that nobody waits for any more) or left (what could not be dealt with). `text` is a sentence.
    """

    kind: str
    text: str
    job: int | None = None
    path: str = ""


class Start(msgspec.Struct, frozen=True):
    """One start of a daemon; `rebooted`: the machine was started since the one before."""

    time: float
    pid: int
    boot: str
    rebooted: bool = False
    findings: tuple[Finding, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """GET /v1/recovery and `recovery.json`: newest first; of starts before the last only those that found something."""

    starts: tuple[Start, ...] = ()
    format: str = FORMAT
    version: int = FORMAT_VERSION
