"""What a tool prints, as it comes: how far it is, and when it fails, why, as a person can use it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tunesmith.daemon.worker.suites.relay import Refused
from tunesmith.recipes.errors import DataError, EvaluationError, TunesmithError

BAR = re.compile(r"(?:Requesting API|Evaluating\[[^\]]*\]):.*?\| *(\d+)/(\d+) \[")
ANY_BAR = re.compile(r"\d+%\|.*\d+/\d+ \[|\[A *$")
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
RAISED = re.compile(r"^(?:[a-zA-Z_][\w.]*\.)?(_?[A-Z]\w*(?:Error|Exception|Enabled|NotFound|Timeout)\w*): *(.*)")
NOT_SCORED = "Error calculating metric"  # EvalScope goes on, and takes 0 for it
# What hubs, data sets and sockets say where questions can neither be found nor fetched.
UNREACHABLE = re.compile(
    r"it is offline|OfflineMode|LocalEntryNotFound|ConnectionError|ConnectTimeout|Max retries exceeded|"
    r"name resolution|getaddrinfo|Couldn't (?:find|reach)|Cannot send a request|DatasetNotFound|ProxyError|"
    r"DownloadDeadline",
    re.IGNORECASE,
)
FILE_BYTES = 4_000_000  # of its output; what was read is let go of then
CHARACTERS = 300


class Output:
    """`done` of `total` requests of what runs now; 0 of 0 before the first bar."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = self.total = 0
        self.error = ""
        self.unreachable = ""
        self.not_scored = ""
        self._read = 0
        self._rest = ""

    def look(self) -> None:
        """What is new since the last time; lines that are no bars go on to the log."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            new = file.read(FILE_BYTES)
        self._read += len(new)
        if self._read >= FILE_BYTES:
            os.truncate(self.path, 0)  # it is appended to
            self._read = 0
        *lines, self._rest = re.split(r"[\r\n]", self._rest + new.decode("utf-8", "replace"))
        for line in lines:
            self._hear(COLOURS.sub("", line).rstrip())
        self._rest = self._rest[-FILE_BYTES:]

    def _hear(self, line: str) -> None:
        if bars := BAR.findall(line):
            self.done, self.total = map(int, bars[-1])
        if not line.strip() or ANY_BAR.search(line):
            return
        print(line, file=sys.stderr, flush=True)
        if raised := RAISED.match(line):
            self.error = f"{raised[1]}: {raised[2]}"[:CHARACTERS]
            if UNREACHABLE.search(line):
                self.unreachable = self.error
        if NOT_SCORED in line:
            self.not_scored = line.partition(NOT_SCORED)[2].strip(" :")[:CHARACTERS]

    def why(self, title: str, tool: str, refusal: Refused | None) -> TunesmithError:
        """Why there is no result."""
        log = "What it printed is in the log: `tunesmith jobs logs RUN`."
        if refusal is not None:
            return EvaluationError(f"{title}: the server refused a question: {refusal.message}", log, "suite_refused")
        if self.unreachable:
            return DataError(
                f"The questions of {title} are not on this machine and could not be fetched: {self.unreachable}",
                "Check the network, and HF_ENDPOINT or the proxy where one is needed. Offline: run it once on another "
                "machine, and bring its caches (HF_HOME, MODELSCOPE_CACHE); or give a file of your own: "
                "--suite questions.jsonl.",
                "suite_data",
            )
        said = f": {self.error}" if self.error else ""
        return EvaluationError(f"{tool} ended with an error at {title}{said}", log, "suite_failed")
