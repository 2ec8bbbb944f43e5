"""What the stages of one attempt share: where things lie, how to report, and what a person asked of it."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api import disk_errors, wording
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.worker import resident
from tunesmith.recipes.errors import DataError, JobError, ModelError
from tunesmith.recipes.spec import JobSpec
from tunesmith.recipes.words import Words, meaning, of_stage, say

if TYPE_CHECKING:
    from tunesmith.daemon.worker.data.prepare import Prepared
    from tunesmith.daemon.worker.planned import Plan
    from tunesmith.daemon.worker.scores import Opened
    from tunesmith.daemon.worker.trained import Trained

PATIENCE_S = 5.0  # what a cancelled training has to come to the end of its step: half of the daemon's default grace
ROOM_WITHIN_S = 600.0  # on a full disk training holds still: what it has in memory is worth more than minutes
LAST_WORD_S = 10.0
NOTICES = 1000  # of an attempt; a view keeps the newest 200
PROGRESS_INTERVAL_S = 0.1  # ten a second: what a screen shows
EPOCH = "epoch"  # a file in the job's folder with the number of its newest attempt, written by the daemon


class Stopped(BaseException):
    """A person cancelled. No Exception, so that no library can swallow it as an error of its own."""


class Context:
    """`base` is set by fetch, `prepared` by prepare, `model` (with its adapter), the `core` that computes its loss and
    how it is `set_up` by probe, until the merge takes them; `plan` holds the run's forecast, `trained` what training
    came to. `fence` is asked before anything is published, so that an attempt which is over changes nothing any more.
    """

    def __init__(self, job: Path, attempt: int) -> None:
        self.job = job.resolve()
        self.attempt = attempt
        try:
            self.spec = msgspec.json.decode((job / "spec.json").read_bytes(), type=JobSpec)
        except (OSError, msgspec.DecodeError) as error:
            raise JobError(f"Cannot read {job / 'spec.json'}: {error}", "Submit the recipe again.") from error
        self.home = Home(self.job.parent.parent)
        self.vendor = self.home.vendor
        self.fence = publish.Fence(self.job / EPOCH, attempt)
        self.work = self.job / f"work-{attempt}"
        self.artifacts = self.job / "artifacts"
        self.checkpoints = self.job / "checkpoints"
        self.adapter = self.work / "adapter"
        self.merged = self.work / "merged"
        self.work.mkdir(parents=True, exist_ok=True)
        self.artifacts.mkdir(exist_ok=True)
        self.tokenizer: Any = None
        self.model: Any = None
        self.core: Any = None
        self.set_up: Any = None
        self.plan: Plan | None = None
        self.trained: Trained | None = None
        self.scorers: tuple[Opened, ...] | None = None
        self.measures: dict[str, float] = {}  # what evaluation came to, by the names that a gate knows
        self.refused = ""  # what the gate says against the model
        self.verified: tuple[e.Verified, ...] = ()
        self.benchmarks: tuple[e.Benchmarked, ...] = ()
        self.inexact: tuple[str, ...] = ()  # why the result is not that of a run that was never stopped
        self.stage = ""
        self.exporting = ""  # the target that is being written
        self._peak_before = 0
        self._base: Path | None = None
        self._prepared: Prepared | None = None
        self._journal = os.open(self.job / f"journal-{attempt}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._stage_started = self._last_progress = 0.0
        self.cancelled = self._busy = False
        self.patient = False  # while training: a cancel waits for a step to end, so that it can be saved
        self.saving = False  # then it waits until that is done
        self.keeping = False  # training is to end after the step that runs, and what was learned is kept
        self._told: set[str] = set()
        self._notices = 0

    def let_go(self) -> None:
        """Of the trained model, and of the core that computed it."""
        self.model = self.core = None
        gc.collect()  # both are tied to themselves

    @property
    def base(self) -> Path:
        if self._base is None:
            raise ModelError("The base model was not fetched yet", "The fetch stage comes first.")
        return self._base

    @base.setter
    def base(self, folder: Path) -> None:
        self._base = folder.resolve()
        (self.job / "base.txt").write_text(f"{self._base}\n", "utf-8")

    def show_base(self, view: Path) -> None:
        """`base` is this view of it from here on; where the model itself lies stays on record."""
        self._base = view.resolve()

    @property
    def prepared(self) -> Prepared:
        if self._prepared is None:
            raise DataError("The data was not prepared yet", "The prepare stage comes first.")
        return self._prepared

    @prepared.setter
    def prepared(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def emit(self, event: e.Event) -> None:
        """Append `event` to the journal as one whole line. Waits out a full disk for some time. Raises OSError."""
        line = e.encode(event) + b"\n"
        until = time.monotonic() + (LAST_WORD_S if isinstance(event, e.TERMINAL) else ROOM_WITHIN_S)
        self._busy = True
        try:
            while line:
                try:
                    line = line[os.write(self._journal, line) :]
                except OSError as error:
                    if error.errno not in disk_errors.FULL or self.cancelled or time.monotonic() > until:
                        raise
                    time.sleep(1.0)
        finally:
            self._busy = False

    def notice(self, level: str, words: Words) -> None:
        """Past NOTICES of one attempt they are in the log only, where nobody counts them."""
        self._notices += 1
        if self._notices > NOTICES:
            print(f"{level}: {words}", file=sys.stderr, flush=True)
            return
        if self._notices == NOTICES:
            words = say("last_notice", "{words} (Further notices of this attempt are in its log only.)", words=words)
        self.emit(wording.notice(level, words))

    def notice_once(self, about: str, level: str, words: Words) -> None:
        """A notice, the first time that there is one `about` this."""
        if about not in self._told:
            self._told.add(about)
            self.notice(level, words)

    def progress(self, done: float, total: float, unit: str, note: str = "", before: float = 0) -> None:
        """How far the running stage is; at most ten a second are written, the last always. Checks for a cancel.

        `before` is what of `done` an earlier attempt did: it says nothing of how fast this one goes.
        """
        self.check_cancelled()
        now = time.monotonic()
        if done < total and now - self._last_progress < PROGRESS_INTERVAL_S:
            return
        self._last_progress = now
        eta = (now - self._stage_started) * (total - done) / (done - before) if done > before else None
        self.emit(
            e.StageProgress(
                time=time.time(), stage=self.stage, done=done, total=total, unit=unit, eta_s=eta, note=str(note),
                note_said=meaning(note),
            )
        )  # fmt: skip

    def begin(self, stage: str) -> None:
        """Raises Stopped once a person cancelled, JobError when another attempt has the job by now."""
        self.check_cancelled()
        self.fence.check()
        self.stage, self._stage_started, self._last_progress = stage, time.monotonic(), 0.0
        self._peak_before = 0
        resident.forget_peak()
        self.emit(e.StageStarted(time=time.time(), stage=stage))
        if self.keeping:
            self.keeping = False
            english = "Stop and keep was asked for while nothing was trained; {stage} goes on as usual."
            self.notice("warning", say("keep_too_early", english, stage=of_stage(stage)))

    def end(self) -> None:
        seconds = time.monotonic() - self._stage_started
        self.emit(e.StageFinished(time=time.time(), stage=self.stage, seconds=seconds, peak_bytes=self.peak()))

    def forget_peak(self) -> None:
        """`resident.peak` is from here on of what follows; the stage remembers what was before."""
        self._peak_before = self.peak()
        resident.forget_peak()

    def peak(self) -> int:
        """Bytes that were resident at most since the stage began."""
        return max(self._peak_before, resident.peak())

    def check_cancelled(self) -> None:
        """Raises Stopped once a person cancelled."""
        if self.cancelled and not self.patient:
            raise Stopped

    def cancel(self, number: int, frame: FrameType | None) -> None:
        """Handler of SIGTERM: stop at once, unless an event is being written, which is then the last.

        While training is patient it has PATIENCE_S to stop between two steps; a save that runs may take what it takes.
        """
        first, self.cancelled = not self.cancelled, True
        if first and self.patient:
            signal.setitimer(signal.ITIMER_REAL, 0 if self.saving else PATIENCE_S)
        elif first and not self._busy:
            raise Stopped

    def lose_patience(self, number: int, frame: FrameType | None) -> None:
        """Handler of SIGALRM: the step takes too long."""
        self.patient = False
        if not self._busy:
            raise Stopped

    def keep(self, number: int, frame: FrameType | None) -> None:
        """Handler of SIGUSR1: end training after the step that runs, and go on with what was learned."""
        self.keeping = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is being saved is worth all of the daemon's grace."""
        self.saving = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            yield
        finally:
            self.saving = False

    def listen(self) -> None:
        """From here on SIGTERM cancels and SIGUSR1 keeps; ctrl-c is for the terminal, not for us."""
        signal.signal(signal.SIGTERM, self.cancel)
        signal.signal(signal.SIGUSR1, self.keep)
        signal.signal(signal.SIGALRM, self.lose_patience)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def deafen(self) -> None:
        """The last event is being decided: a signal changes nothing any more."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
