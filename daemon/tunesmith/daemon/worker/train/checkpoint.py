"""Checkpoints of a job: `checkpoints/step-N` holds all that an exact resume needs, whole or not there at all.

A folder has the weights that are trained, the optimizer's and the schedule's state, the random number generators, and
`checkpoint.json` with what it was made from. The newest two are kept; damaged ones are told of and never loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from pathlib import Path

import msgspec

from tunesmith.daemon import crash_points, publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import kept
from tunesmith.daemon.worker.train.identity import base_fingerprint
from tunesmith.recipes.errors import JobError, MachineError
from tunesmith.recipes.spec import JobSpec
from tunesmith.recipes.words import Said, of_error, say

FACTS = "checkpoint.json"
OPTIMIZER = "optimizer.pt"
# Without any of these transformers goes on all the same, and silently learns something else.
NEEDED = frozenset({FACTS, "rng_state.pth", "trainer_state.json"})
NEEDED_TO_TRAIN = frozenset({OPTIMIZER, "scheduler.pt"})
FORMAT_VERSION = 2  # 1 had no order, no optimizer and no totals


class Order(msgspec.Struct, frozen=True):
    """Where in the data training is: `position` batches of `epoch` (from 0) are over, in the order of `seed`."""

    seed: int
    epoch: int
    position: int


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What training had come to after `step` of `total_steps` steps, and what it depends on.

    `over`: no step follows, as all are done or a person stopped and kept it; then nobody asks for the optimizer again.
    `data` are the keys of the prepared sources, `data_complete` whether all of them were prepared; `base` is the base
    model's fingerprint, `trained` that of the trained weights here. `schedule` are the learning-rate schedule's
    arguments; `optimizer` is its class and `parameters` a hash of what it moves, in order; `scaler` whether gradients
    are scaled. `surroundings` are versions, device, dtype, threads and paths: results are equal to the bit where they
    are. `inexact` says why they are not any more.
    """

    step: int
    spec: JobSpec
    data: tuple[str, ...]
    data_complete: bool
    base: str
    trained: str
    schedule: dict[str, float]
    surroundings: dict[str, str]
    total_steps: int = 0
    over: bool = False
    order: Order | None = None
    optimizer: str = ""
    parameters: str = ""
    scaler: bool = False
    inexact: tuple[str, ...] = ()
    inexact_said: tuple[Said, ...] = ()
    version: int = FORMAT_VERSION


def exist(context: Context) -> bool:
    """Whether an earlier attempt left any, whole or not."""
    return bool(kept.steps(context.checkpoints))


def newest(context: Context) -> Checkpoint | None:
    """What an earlier attempt of this job left to go on from. Raises JobError when the job is not the same any more.

    Damaged checkpoints are told of and removed; without a whole one a later attempt says that it begins anew.
    """
    folder = context.checkpoints
    if folder.is_dir():
        publish.remove_staged(folder)
    for place in reversed(kept.steps(folder)):
        found = _whole(context, place)
        if found is None:
            publish.remove(place)
            continue
        _refuse_other_work(context, found)
        return found
    if any(path.name != f"journal-{context.attempt}.jsonl" for path in context.job.glob("journal-*.jsonl")):
        english = "There is no checkpoint of an earlier attempt: training begins at the first step."
        context.notice("info", say("no_checkpoint", english))
    return None


def folder_of(context: Context, step: int) -> Path:
    return context.checkpoints / f"step-{step}"


def save(context: Context, checkpoint: Checkpoint, write: Callable[[Path], None], needed: int) -> None:
    """Publish the about `needed` bytes that `write` puts into a folder as this checkpoint, and tell of it.

    Raises OSError and MachineError when it cannot be saved, JobError when another attempt has the job by now.
    """
    began = time.monotonic()
    kept.make_room(context, needed)
    final = folder_of(context, checkpoint.step)
    with publish.staging(final) as staged:
        staged.mkdir()
        write(staged)
        (staged / FACTS).write_bytes(msgspec.json.encode(checkpoint))
        crash_points.reach("checkpoint.staged")
        published = publish.publish_folder(staged, final, context.fence)
    crash_points.reach("checkpoint.published")
    kept.keep_newest(context, published.bytes)
    crash_points.reach("checkpoint.pruned")
    context.emit(
        e.CheckpointSaved(
            time=time.time(),
            step=checkpoint.step,
            path=final.relative_to(context.job).as_posix(),
            bytes=published.bytes,
            seconds=time.monotonic() - began,
        )
    )


def sources(context: Context) -> tuple[str, ...]:
    """A key a source, of its content, tokenizer and settings."""
    return tuple(source.key for source in context.prepared.sources)


def order(context: Context, step: int) -> Order:
    """Where in the data the batch after `step` lies. While data are still prepared nobody knows where epochs end."""
    training = context.spec.training
    if not context.prepared.finished:
        return Order(training.seed, 0, step)
    return Order(training.seed, *context.prepared.feed.place(step, training.epochs))


def learned(spec: JobSpec) -> JobSpec:
    """`spec` without what changes how a step is computed and not what: the daemon shrinks it when memory runs out.

    That it is another now is told by the surroundings, where the paths are.
    """
    training = msgspec.structs.replace(spec.training, window=None, gradient_checkpointing="auto")
    return msgspec.structs.replace(spec, training=training)


def _whole(context: Context, folder: Path) -> Checkpoint | None:
    """What lies in `folder`, None when it is damaged, which is told. Raises JobError for what a newer version wrote."""
    try:
        publish.verify_folder(folder)  # the manifest's check: nothing of a checkpoint is loaded without it
        _refuse_missing(folder, NEEDED)
        found = _facts(folder)
        more = {"scaler.pt"} if found.scaler else set()
        _refuse_missing(folder, more if found.over else NEEDED_TO_TRAIN | more)
        if folder.name != f"step-{found.step}":
            raise MachineError(f"{folder} holds step {found.step}", "", publish.CORRUPT)
    except MachineError as error:
        if error.code == publish.NEWER:
            raise JobError(error.message, error.hint, "resume_mismatch") from error
        english = "The checkpoint {name} is damaged and not used: {error}."
        context.notice("warning", say("checkpoint_damaged", english, name=folder.name, error=of_error(error)))
        return None
    return found


def _facts(folder: Path) -> Checkpoint:
    """Raises JobError when this version cannot read it, which is no damage: its hash was right."""
    data = (folder / FACTS).read_bytes()
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version <= FORMAT_VERSION:
            found = msgspec.json.decode(data, type=Checkpoint)
            # The first version did not say: it left the optimizer out once training was over.
            return found if version > 1 else msgspec.structs.replace(found, over=not (folder / OPTIMIZER).exists())
        why = f"it has version {version}"
    except msgspec.DecodeError as error:
        why = str(error)
    raise JobError(
        f"{folder / FACTS} was written by another version of Tunesmith: {why}",
        "Go on with that version, or begin anew with `tunesmith run`.",
        "resume_mismatch",
    )


class _Version(msgspec.Struct):
    version: int = 1


def _refuse_missing(folder: Path, needed: Set[str]) -> None:
    """Raises MachineError when something that an exact resume needs was never in it."""
    names = publish.read_manifest(folder).files.keys()
    weights = any(name.endswith(".safetensors") for name in names)
    if not weights or needed - names:
        missing = ", ".join(sorted(needed - names)) or "weights"
        raise MachineError(f"{folder} has no {missing}", "", publish.CORRUPT)


def _refuse_other_work(context: Context, found: Checkpoint) -> None:
    """Raises JobError when going on from `found` would mix two different trainings."""
    _compare(context, found, "The recipe", learned(context.spec), learned(found.spec))
    _compare(context, found, "The training data", sources(context), found.data)
    _compare(context, found, "The base model", base_fingerprint(context.base), found.base)
    if found.data_complete:
        context.prepared.finish()  # how many steps there are in all depends on it
        if found.order is not None:
            _compare(context, found, "The order of the training data", order(context, found.step), found.order)


def _compare(context: Context, found: Checkpoint, what: str, here: object, there: object) -> None:
    if here != there:
        raise JobError(
            f"{what} is not what it was at the checkpoint of step {found.step}",
            f"Put it back as it was; or begin anew with `tunesmith run {context.job / 'recipe.yaml'}`.",
            "resume_mismatch",
        )
