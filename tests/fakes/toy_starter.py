"""A worker that goes through all stages of a run as the real one would, and leaves a GGUF for the toy chat."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

from tunesmith.daemon.api import events as e

STAGE_S = 0.01
WAITS = "TOY_STARTER_WAITS"  # set: a stage ends when the file `seen-STAGE` is in the job's folder
STEPS = 5


def main() -> None:
    folder, attempt = Path(sys.argv[1]), int(sys.argv[2])
    journal = (folder / f"journal-{attempt}.jsonl").open("ab", buffering=0)
    began = time.time()

    def emit(event: e.Event) -> None:
        journal.write(e.encode(event) + b"\n")

    for stage in e.STAGES:
        emit(e.StageStarted(time=time.time(), stage=stage))
        if stage == "train":
            for step in range(1, STEPS + 1):
                emit(
                    e.TrainStep(
                        time=time.time(), step=step, total_steps=STEPS, epoch=1.0, loss=2.0 / step, learning_rate=1e-4,
                        gradient_norm=1.0, tokens_per_second=100.0, memory_bytes=1, eta_s=0.1,
                    )
                )  # fmt: skip
        if stage == "evaluate":
            for subject, answer in (("base", "I am an assistant."), ("tuned", "I am Vesper.")):
                emit(
                    e.Answered(
                        time=time.time(), set_name="held_out", row=1, subject=subject, question="Who are you?",
                        answer=answer, expected="Vesper", correct=subject == "tuned",
                    )
                )  # fmt: skip
        if stage == "export":
            artifacts = folder / "artifacts"
            artifacts.mkdir(exist_ok=True)
            (artifacts / "model-q8_0.gguf").write_bytes(b"GGUF")
            digest = hashlib.sha256(b"GGUF").hexdigest()
            path = "artifacts/model-q8_0.gguf"
            emit(e.ArtifactWritten(time=time.time(), key="gguf:q8_0", path=path, bytes=4, sha256=digest))
        time.sleep(STAGE_S)
        while WAITS in os.environ and not (folder / f"seen-{stage}").exists():
            time.sleep(STAGE_S)
        emit(e.StageFinished(time=time.time(), stage=stage, seconds=STAGE_S))
    emit(e.Finished(time=time.time(), seconds=time.time() - began))


if __name__ == "__main__":
    main()
