"""A finished run taken up again: the recipe of a job that exports what it made, evaluates or benchmarks it.

A merge of several adapters is one too: a whole model, as of a training of every weight.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.further import RECIPE
from tunesmith.recipes.spec import (
    BENCHMARK,
    EVALUATE,
    EXPORT,
    MERGE,
    TRAIN,
    AdapterSpec,
    BenchmarkSpec,
    JobSpec,
    complete,
    load,
)

NAME_CHARACTERS = 80
TRAINING = "training.json"  # beside the artifacts: what the training came to
GGUFS = "model-*.gguf"  # what a server answers with
WHOLE = {"kind": "full"}  # the tuner of a model that has no adapter


def exporting(artifacts: Path, targets: tuple[str, ...], data: str | None = None) -> JobSpec:
    """The recipe that writes `targets` of the run whose artifacts these are.

    `data` stands for the run's rows where they are gone: exports are verified, and importance matrices made, with them.
    Raises RecipeError, and ModelError where the run left nothing to export.
    """
    spec = of_run(artifacts, EXPORT)
    rows = spec.data if data is None else msgspec.structs.replace(spec.data, train=data, held_out=None, map={})
    return complete(msgspec.structs.replace(spec, exports=targets, data=rows))


def evaluating(
    artifacts: Path, data: str | None = None, scores: tuple[str, ...] | None = None, fail_if: str | None = None
) -> JobSpec:
    """The recipe that evaluates the run whose artifacts these are, before and after, on `data` or its held-out rows.

    `scores` (with absolute paths) stand for those of the run.
    """
    spec = of_run(artifacts, EVALUATE)
    rows = spec.data if data is None else msgspec.structs.replace(spec.data, held_out=data)
    taken = spec.evaluation.scores if scores is None else scores
    evaluation = msgspec.structs.replace(spec.evaluation, scores=taken, fail_if=fail_if)
    return complete(msgspec.structs.replace(spec, data=rows, evaluation=evaluation))


def benchmarking(artifacts: Path, asked: BenchmarkSpec, fail_if: str | None = None) -> JobSpec:
    """The recipe that runs benchmarks (files of their own with absolute paths) on the run whose artifacts these are."""
    spec = of_run(artifacts, BENCHMARK)
    evaluation = msgspec.structs.replace(spec.evaluation, scores=(), fail_if=fail_if)
    return complete(msgspec.structs.replace(spec, benchmark=asked, evaluation=evaluation, exports=()))


def merging(
    artifacts: Path, adapters: tuple[AdapterSpec, ...], targets: tuple[str, ...], data: str | None = None
) -> JobSpec:
    """The recipe that puts `adapters` into the base of the run whose artifacts these are, and exports that.

    The run's rows, or `data`, are what exports are verified with.
    """
    if load(artifacts / RECIPE).task == MERGE:
        raise no_adapter(f"What lies in {artifacts}")
    spec = exporting(artifacts, targets, data)
    name = f"{MERGE} {spec.name.removeprefix(EXPORT).strip()}"[:NAME_CHARACTERS]
    return complete(msgspec.structs.replace(spec, task=MERGE, adapters=adapters, name=name))


def of_run(artifacts: Path, task: str) -> JobSpec:
    """The run's own recipe with another task; of what was itself exported again, that of the run behind it. Its gate
    and its benchmarks were for its training and are left out.

    A merge that kept no merged model is exported by merging again: then it is that recipe.
    """
    spec = load(artifacts / RECIPE)
    if spec.task not in (TRAIN, MERGE) and spec.of is not None:
        return of_run(Path(spec.of), task)
    name = spec.name
    if spec.task == MERGE:
        if task == EXPORT and not folders(artifacts)[1].is_dir():
            return spec
        spec = msgspec.structs.replace(spec, tuner=dict(WHOLE), quantization="none", adapters=())
    if not is_left(artifacts, task):
        raise nothing_left(artifacts)
    evaluation, called = msgspec.structs.replace(spec.evaluation, fail_if=None), f"{task} {name}"[:NAME_CHARACTERS]
    return msgspec.structs.replace(
        spec, task=task, of=str(artifacts), name=called, evaluation=evaluation, benchmark=None
    )


def is_left(artifacts: Path, task: str) -> bool:
    """Whether there is anything that a job of this task begins with: what a benchmark asks may be a GGUF alone."""
    whole = any(folder.is_dir() for folder in folders(artifacts))
    return whole or (task == BENCHMARK and any(artifacts.glob(GGUFS)))


def folders(artifacts: Path) -> tuple[Path, Path]:
    """Where a run's adapter and merged model lie, if it exported them."""
    from tunesmith.recipes import exports

    adapter, merged = (artifacts / exports.find(target)[0].file_name("") for target in ("adapter", "merged"))
    return adapter, merged


def trained_on(artifacts: Path) -> str:
    """The fingerprint of the base that a run's adapter belongs on; empty where nobody can say."""
    try:
        return msgspec.json.decode((artifacts / TRAINING).read_bytes(), type=_OfTraining).base
    except (OSError, ValueError, msgspec.DecodeError):
        return ""  # damaged or of an older version: the worker looks closer


class _OfTraining(msgspec.Struct):
    base: str


def weights(spec: JobSpec) -> Path | None:
    """What a job begins with: the weights of the run it is of, or those it trains on from; None for the base."""
    from tunesmith.recipes import tuners

    if spec.task == TRAIN or spec.of is None:
        return None if spec.training.start_from is None else Path(spec.training.start_from)
    adapter, merged = folders(Path(spec.of))
    return adapter if tuners.cards()[spec.tuner["kind"]].adapter else merged


def no_adapter(what: str) -> ModelError:
    return ModelError(
        f"{what} is a merge of several adapters, which has no adapter itself",
        "Name the runs that it was made of: `tunesmith merge ADAPTER=WEIGHT ... --to TARGETS`.",
        "nothing_to_start_from",
    )


def nothing_left(artifacts: Path) -> ModelError:
    return ModelError(
        f"The run exported neither its adapter nor its merged model, so nothing is left to begin with: {artifacts}",
        "Run its recipe again with `adapter` or `merged` among its `exports`; of a merge `tunesmith export RUN --to "
        "merged` makes it.",
        "nothing_to_start_from",
    )
