"""Checkpoints of a job: `checkpoints/step-N` holds all that an exact resume needs, whole or not there at all.

A folder has the weights that are trained, the optimizer's and the schedule's state, the random number generators, and
`checkpoint.json` with what it was made from. The newest two are kept; damaged ones are told of and never loaded.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes.errors import JobError, MachineError
from tunesmith.recipes.spec import JobSpec

KEPT = 2  # the second is for the day the newest is damaged
FACTS = "checkpoint.json"
FORMAT_VERSION = 1
ENDS_BYTES = 1 << 20  # read at both ends of each weights file: hashing all of a large model takes minutes


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What training had come to after `step` steps, and what it depends on.

    `data` are the keys of the prepared sources, `data_complete` whether all of them were prepared; `base` is the base
    model's fingerprint, `trained` that of the trained weights here. `schedule` are the learning-rate schedule's
    arguments. `surroundings` are versions, device, threads and paths: results are equal to the bit where they are.
    """

    step: int
    spec: JobSpec
    data: tuple[str, ...]
    data_complete: bool
    base: str
    trained: str
    schedule: dict[str, float]
    surroundings: dict[str, str]
    version: int = FORMAT_VERSION


def newest(context: Context) -> Checkpoint | None:
    """What an earlier attempt of this job left to go on from. Raises JobError when the job is not the same any more.

    Damaged checkpoints are told of and removed; without a whole one a later attempt says that it begins anew.
    """
    folder = context.checkpoints
    if folder.is_dir():
        publish.remove_staged(folder)
    for place in reversed(_steps(folder)):
        found = _whole(context, place)
        if found is None:
            publish.remove(place)
            continue
        _refuse_other_work(context, found)
        if found.data_complete:
            context.prepared.finish()  # how many steps there are in all depends on it
        return found
    if any(path.name != f"journal-{context.attempt}.jsonl" for path in context.job.glob("journal-*.jsonl")):
        context.notice("info", "There is no checkpoint of an earlier attempt: training begins at the first step.")
    return None


def folder_of(context: Context, step: int) -> Path:
    return context.checkpoints / f"step-{step}"


def save(context: Context, checkpoint: Checkpoint, write: Callable[[Path], None], began: float) -> float:
    """Publish what `write` puts into a folder as this checkpoint, and tell of it. Raises OSError, MachineError.

    `began` is on the monotonic clock; returns the seconds since.
    """
    final = folder_of(context, checkpoint.step)
    with publish.staging(final) as staged:
        staged.mkdir()
        write(staged)
        (staged / FACTS).write_bytes(msgspec.json.encode(checkpoint))
        published = publish.publish_folder(staged, final)
    for old in _steps(context.checkpoints)[:-KEPT]:
        publish.remove(old)
    seconds = time.monotonic() - began
    context.emit(
        e.CheckpointSaved(
            time=time.time(),
            step=checkpoint.step,
            path=final.relative_to(context.job).as_posix(),
            bytes=published.bytes,
            seconds=seconds,
        )
    )
    return seconds


def sources(context: Context) -> tuple[str, ...]:
    """A key a source, of its content, tokenizer and settings."""
    return tuple(source.key for source in context.prepared.sources)


def base_fingerprint(folder: Path) -> str:
    """Of a model folder: its config, and the size, the first and the last part of each weights file."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        with path.open("rb") as file:
            digest.update(file.read(ENDS_BYTES))
            file.seek(max(0, size - ENDS_BYTES))
            digest.update(file.read(ENDS_BYTES))
    return digest.hexdigest()


def _steps(folder: Path) -> list[Path]:
    """The folders of checkpoints, oldest first."""
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def _whole(context: Context, folder: Path) -> Checkpoint | None:
    try:
        publish.verify_folder(folder)
        found = msgspec.json.decode((folder / FACTS).read_bytes(), type=Checkpoint)
    except (MachineError, OSError, msgspec.DecodeError) as error:
        why = error.message if isinstance(error, MachineError) else str(error)
        context.notice("warning", f"The checkpoint {folder.name} is damaged and not used: {why}.")
        return None
    if found.version > FORMAT_VERSION:
        raise JobError(f"{folder} was written by a newer Tunesmith", "Update Tunesmith.", "resume_mismatch")
    return found


def learned(spec: JobSpec) -> JobSpec:
    """`spec` without what changes how a step is computed and not what: the daemon shrinks it when memory runs out.

    That it is another now is told by the surroundings, where the paths are.
    """
    training = msgspec.structs.replace(spec.training, window=None, gradient_checkpointing="auto")
    return msgspec.structs.replace(spec, training=training)


def _refuse_other_work(context: Context, found: Checkpoint) -> None:
    """Raises JobError when going on from `found` would mix two different trainings."""
    now = {
        "The recipe": (learned(context.spec), learned(found.spec)),
        "The training data": (sources(context), found.data),
        "The base model": (base_fingerprint(context.base), found.base),
    }
    for what, (here, there) in now.items():
        if here != there:
            raise JobError(
                f"{what} is not what it was at the checkpoint of step {found.step}",
                f"Put it back as it was; or begin anew with `tunesmith run {context.job / 'recipe.yaml'}`.",
                "resume_mismatch",
            )
