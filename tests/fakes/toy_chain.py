"""A worker whose work can be checked: step k makes SHA-256(state + k), so the result proves every step once, in order.

It saves and publishes as the real one does, through `publish`. Its job's name says how: `steps=40 step=0.005 save=10`;
`crash=publish.renamed:2` kills it at a crash point and `fault=write,7,28` arms the disk shim (disk_shim/disk.c), both
in the first attempt only; `memory=64` takes so many MB a step under `limit=512` MB of address space and `cuda=5` fails
at step 5 as CUDA does, in the first `times=2` attempts; `deaf` ignores SIGTERM.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

import msgspec

from tunesmith.daemon import crash_points, publish
from tunesmith.daemon.api import events as e
from tunesmith.recipes.errors import MachineError, TunesmithError
from tunesmith.recipes.spec import JobSpec

MB = 1_000_000
KEPT = 2


class State(msgspec.Struct, frozen=True):
    """After `step` steps; a checkpoint's `state.json` and the artifact `chain.json`."""

    step: int
    value: str


class OutOfMemoryError(RuntimeError):
    """By this name torch tells that a GPU has no memory left."""


def beginning(name: str) -> State:
    return State(0, hashlib.sha256(name.encode()).hexdigest())


def after(state: State) -> State:
    step = state.step + 1
    return State(step, hashlib.sha256(f"{state.value}{step}".encode()).hexdigest())


def expected(name: str, steps: int) -> State:
    """What a job of that name must come to."""
    state = beginning(name)
    for _ in range(steps):
        state = after(state)
    return state


class Toy:
    """One attempt."""

    def __init__(self, folder: Path, attempt: int) -> None:
        self.folder, self.attempt = folder, attempt
        spec = msgspec.json.decode((folder / "spec.json").read_bytes(), type=JobSpec)
        self.name = spec.name
        self.how = dict(part.partition("=")[::2] for part in spec.name.split())
        self.journal = os.open(folder / f"journal-{attempt}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.checkpoints, self.artifacts = folder / "checkpoints", folder / "artifacts"
        self.fence = publish.Fence(folder / "epoch", attempt)
        self.stopping = self.keeping = False

    def emit(self, event: e.Event) -> None:
        line = e.encode(event) + b"\n"
        crash_points.reach("toy.before_event")
        while line:
            line = line[os.write(self.journal, line) :]
        crash_points.reach("toy.after_event")

    def listen(self) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            self.stopping = True

        def keep(number: int, frame: FrameType | None) -> None:
            self.keeping = True

        signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in self.how else stop)
        signal.signal(signal.SIGUSR1, keep)

    def claim(self) -> None:
        """Leave proof for the checker when another worker of this job lives. The lock ends with the process."""
        lock = os.open(self.folder / "alive.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (self.folder / f"double-{self.attempt}").touch()
            fcntl.flock(lock, fcntl.LOCK_EX)

    def resumed(self) -> State:
        """The newest checkpoint that verifies."""
        if self.checkpoints.is_dir():
            publish.remove_staged(self.checkpoints)
        for place in reversed(self.saved()):
            try:
                publish.verify_folder(place)
            except MachineError as error:
                self.emit(e.Notice(time=time.time(), level="warning", text=f"{place.name} is not used: {error}"))
                publish.remove(place)
                continue
            state = msgspec.json.decode((place / "state.json").read_bytes(), type=State)
            self.emit(e.Resumed(time=time.time(), step=state.step, attempt=self.attempt))
            return state
        return beginning(self.name)

    def saved(self) -> list[Path]:
        return sorted(self.checkpoints.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))

    def save(self, state: State) -> None:
        final = self.checkpoints / f"step-{state.step}"
        if final.exists():
            return
        with publish.staging(final) as staged:
            staged.mkdir()
            (staged / "state.json").write_bytes(msgspec.json.encode(state))
            (staged / "ballast.bin").write_bytes(bytes(10_000))
            crash_points.reach("toy.checkpoint_written")
            size = publish.publish_folder(staged, final, self.fence).bytes
        for old in self.saved()[:-KEPT]:
            publish.remove(old)
        self.emit(
            e.CheckpointSaved(
                time=time.time(), step=state.step, path=f"checkpoints/{final.name}", bytes=size, seconds=0.0
            )
        )

    def export(self, state: State) -> None:
        publish.remove_staged(self.artifacts)
        for final, content in (("chain.json", msgspec.json.encode(state)), ("chain.bin", bytes(20_000))):
            with publish.staging(self.artifacts / final) as staged:
                staged.write_bytes(content)
                crash_points.reach("toy.artifact_written")
                published = publish.publish_file(staged, self.artifacts / final, self.fence)
            self.emit(
                e.ArtifactWritten(
                    time=time.time(),
                    key=final,
                    path=f"artifacts/{final}",
                    bytes=published.bytes,
                    sha256=published.sha256,
                )
            )

    def step(self, state: State, steps: int) -> State:
        now = after(state)
        if self.short and self.how.get("cuda") == str(now.step):
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.hold(int(self.how.get("memory", "0")))
        self.emit(
            e.TrainStep(
                time=time.time(), step=now.step, total_steps=steps, epoch=1.0, loss=2.0 / now.step, learning_rate=1e-4,
                gradient_norm=1.0, tokens_per_second=100.0, memory_bytes=1, eta_s=0.0,
            )
        )  # fmt: skip
        return now

    def hold(self, megabytes: int) -> None:
        self.held = [*getattr(self, "held", ()), bytearray(megabytes * MB)] if self.short else []

    @property
    def first(self) -> bool:
        return self.attempt == 1

    @property
    def short(self) -> bool:
        """Of memory."""
        return self.attempt <= int(self.how.get("times", "1"))

    def run(self) -> None:
        self.listen()
        self.claim()
        if self.short and (limit := self.how.get("limit")):
            resource.setrlimit(resource.RLIMIT_AS, (int(limit) * MB, int(limit) * MB))
        began, pause = time.time(), float(self.how.get("step", "0.005"))
        steps, save = int(self.how.get("steps", "5")), int(self.how.get("save", "10"))
        self.emit(e.StageStarted(time=began, stage="train"))
        state = self.resumed()
        while state.step < steps and not self.keeping:
            if self.stopping:
                self.save(state)
                self.emit(e.Cancelled(time=time.time()))
                return
            state = self.step(state, steps)
            if state.step % save == 0:
                self.save(state)
            time.sleep(pause)
        self.emit(e.StageFinished(time=time.time(), stage="train", seconds=time.time() - began))
        self.export(state)
        with (self.folder / "completions.txt").open("a") as file:
            file.write(f"{self.attempt}\n")
        self.emit(e.Finished(time=time.time(), seconds=time.time() - began))


def arm(toy: Toy) -> None:
    """What the first attempt shall suffer; what the daemon itself shall suffer is not for its workers."""
    os.environ.pop(crash_points.VARIABLE, None)
    if not toy.first:
        return
    if crash := toy.how.get("crash"):
        os.environ[crash_points.VARIABLE] = crash
    if fault := toy.how.get("fault"):
        ctypes.CDLL(None).disk_shim_arm(fault.replace(",", " ").encode())


def failure(error: BaseException) -> e.Failed:
    """As the real worker's `explain`, which would load the engines."""
    code, message = "internal", f"{type(error).__name__}: {error}"
    if isinstance(error, TunesmithError):
        code, message = error.code, error.message
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        code, message = "disk_full", "The disk is full"
    elif isinstance(error, OSError):
        code = "disk"
    elif isinstance(error, MemoryError | OutOfMemoryError):
        code, message = "out_of_memory", "There was not enough memory"
    return e.Failed(time=time.time(), code=code, message=message, hint="Mend it.", stage="train")


def main() -> int:
    toy = Toy(Path(sys.argv[1]), int(sys.argv[2]))
    arm(toy)
    try:
        toy.run()
    except Exception as error:  # noqa: BLE001  # whatever it was, the journal must say that it ended
        traceback.print_exc()
        toy.held = []
        toy.emit(failure(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
