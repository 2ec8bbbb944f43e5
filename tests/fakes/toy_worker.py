"""A worker that speaks the journal protocol and trains nothing; its job's name says how: `steps=20 step=0.005 deaf`.

`deaf` ignores SIGTERM, `die=7` kills itself at step 7, `refuse` fails with a typed error, `child` leaves a process,
`torn` writes half a line before it dies, `linger` stays after its last word, `save=5` can be resumed from every fifth
step, `memory=2` runs out of memory in its first two attempts at step 2, `killed=2` is killed by the system for it,
`prints=400` prints so many MB first,
`shrinks` says that it made the window smaller itself. On SIGUSR1 it takes one more step and finishes.
Only a first attempt dies or refuses.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.recipes.planner import Change
from tunesmith.recipes.spec import JobSpec


def main() -> int:
    folder, attempt = Path(sys.argv[1]), int(sys.argv[2])
    spec = msgspec.json.decode((folder / "spec.json").read_bytes(), type=JobSpec)
    how = dict(part.partition("=")[::2] for part in spec.name.split())
    first = attempt == 1
    saved = folder / "saved.txt"
    steps, pause = int(how.get("steps", "5")), float(how.get("step", "0.005"))
    journal = (folder / f"journal-{attempt}.jsonl").open("ab", buffering=0)
    told: list[int] = []

    def emit(event: e.Event) -> None:
        journal.write(e.encode(event) + b"\n")

    def on_term(number: int, frame: FrameType | None) -> None:
        told.append(number)

    def on_keep(number: int, frame: FrameType | None) -> None:
        kept.append(number)

    kept: list[int] = []
    signal.signal(signal.SIGUSR1, on_keep)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in how else on_term)
    print(f"toy worker {os.getpid()} on {folder.name}", flush=True)
    for _ in range(int(how.get("prints", "0"))):
        os.write(1, (b"x" * 99 + b"\n") * 10_000)
    began = time.time()
    if "child" in how:
        child = subprocess.Popen(["sleep", "1000"])
        (folder / "child.txt").write_text(str(child.pid))
    emit(e.StageStarted(time=began, stage="train"))
    emit(e.LimitMeasured(time=began, device="cpu", dtype="float32", flops_per_second=1e11))
    emit(e.PathsChosen(time=began, paths=(e.PathTaken("all", "none", "nothing is trained", fastest=False),)))
    if "refuse" in how and first:
        emit(e.Failed(time=time.time(), code="data", message="Row 3 has no messages", hint="Mend it.", stage="train"))
        return 0
    if "memory" in how or "killed" in how:
        emit(e.DataChecked(time=began, file="a", rows_read=9, rows_kept=9, rows_rejected=0, tokens=900, longest=100))
    if "shrinks" in how and first:
        emit(e.Shrunk(time=began, changes=(Change("training.window", "auto", "64"),)))
    done = int(saved.read_text()) if saved.exists() else 0
    if done:
        emit(e.Resumed(time=time.time(), step=done, attempt=attempt))
    for step in range(done + 1, steps + 1):
        if told:
            emit(e.Cancelled(time=time.time()))
            return 0
        if how.get("die") == str(step) and first:
            if "torn" in how:
                journal.write(b'{"type":"train_step","ste')
            os.kill(os.getpid(), signal.SIGKILL)
        if step == 2 and attempt <= int(how.get("memory", "0")):
            emit(e.Failed(time=time.time(), code="out_of_memory", message="There was not enough memory", stage="train"))
            time.sleep(1000 if "linger" in how else 0)
            return 0
        if step == 2 and attempt <= int(how.get("killed", "0")):
            (folder.parent.parent / "room.json").write_text(f'{{"kills": {attempt}}}')
            os.kill(os.getpid(), signal.SIGKILL)
        emit(
            e.TrainStep(
                time=time.time(), step=step, total_steps=steps, epoch=1.0, loss=2.0 / step, learning_rate=1e-4,
                gradient_norm=1.0, tokens_per_second=100.0, memory_bytes=1, eta_s=(steps - step) * pause,
                flops_per_second=5e10, limit_share=0.5, token_accuracy=step / steps,
            )
        )  # fmt: skip
        if "save" in how and step % int(how["save"]) == 0:
            saved.with_suffix(".new").write_text(str(step))
            saved.with_suffix(".new").replace(saved)
            emit(e.CheckpointSaved(time=time.time(), step=step, path="saved.txt", bytes=1, seconds=0.0))
        if kept:
            break
        time.sleep(pause)
    emit(e.StageFinished(time=time.time(), stage="train", seconds=time.time() - began))
    if "prints" in how:
        print("the last line", flush=True)
    emit(e.Finished(time=time.time(), seconds=time.time() - began))
    if "linger" in how:
        time.sleep(1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
