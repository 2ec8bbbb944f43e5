"""Before a job is accepted: recipe complete, its files there, room on the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tunesmith.daemon.api import library_caches, measuring, model_store
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.offline import is_offline, lacks
from tunesmith.recipes import again, suites
from tunesmith.recipes.checks import refuse_unsuited
from tunesmith.recipes.data.files import sources
from tunesmith.recipes.errors import DataError, MachineError, ModelError, RecipeError
from tunesmith.recipes.machine import detect
from tunesmith.recipes.models import gguf_config, source
from tunesmith.recipes.models.source import Folder, GgufFile, Named, Repository, Source
from tunesmith.recipes.spec import BENCHMARK, EVALUATE, STARTER, WRITING, JobSpec, complete
from tunesmith.recipes.units import bytes_text

LOOK_BYTES = 65_536  # a file whose first 64 kB are blank has no rows worth a job


def acceptable(spec: JobSpec, home: Home, free_disk_needed: int, no_network: bool = False) -> JobSpec:
    """`spec` with every knob filled in. Raises RecipeError, ModelError, DataError or MachineError."""
    for where, card in (("method", spec.method), ("tuner", spec.tuner)):
        if not isinstance(card.get("kind"), str):
            raise RecipeError(f"{where} has no kind", f"Write `kind:` below `{where}:`.")
    spec = complete(spec)
    if spec.training.device == "auto" and spec.task not in (*WRITING, BENCHMARK):
        refuse_unsuited(spec, measuring.merged(home, detect(home.root)).device.kind)
    _check_source(source.parse(spec.model.source), home, no_network or is_offline(os.environ))
    if spec.task != BENCHMARK:
        _check_rows(spec)
    if spec.of is not None:
        _check_of(_absolute("of", spec.of), spec.task)
        for one in spec.adapters:
            _check_adapter(_absolute("adapters path", one.path))
    elif spec.training.start_from is not None:
        _check_start(_absolute("training.start_from", spec.training.start_from))
    for suite in spec.benchmark.suites if spec.benchmark is not None else ():
        if suites.is_file(suite):
            _absolute("benchmark.suites", suite)
        suites.find(suite, None)
    free = shutil.disk_usage(home.root).free
    if free < free_disk_needed:
        raise MachineError(
            f"Only {bytes_text(free)} are free in {home.root}; a run needs {bytes_text(free_disk_needed)}",
            "Free some space, or set TUNESMITH_HOME to a folder on another disk.",
            "disk_full",
        )
    return spec


def _check_rows(spec: JobSpec) -> None:
    """Raises DataError, RecipeError."""
    if spec.task != EVALUATE or spec.data.held_out is None:
        for part in spec.data.sources:
            if part.path != STARTER:
                _check_data(_absolute("data.train", part.path))
    if spec.data.held_out not in (None, STARTER):
        _check_data(_absolute("data.held_out", str(spec.data.held_out)))


def _absolute(key: str, text: str) -> Path:
    if "\0" in text or not Path(text).is_absolute():
        raise RecipeError(f"{key} is {text!r}, no absolute path", "Give 'starter' or the whole path.")
    return Path(text)


def _check_source(found: Source, home: Home, no_network: bool) -> None:
    """What is not on this machine is fetched by the worker, so only what can be seen here is refused here."""
    match found:
        case Folder(path):
            _check_model(_absolute("model.source", path))
        case GgufFile(path):
            gguf_config.config(_a_file(_absolute("model.source", path)))
        case Named() | Repository():
            candidates = source.candidates(found, source.HUBS[0])
            here = model_store.first(home, candidates, found.revision)
            if here is None and candidates[0][0] == source.LOCAL:
                raise ModelError(
                    f"No model was imported as {found}",
                    "`tunesmith models list` shows those that were.",
                    "model_missing",
                )
            if here is None and no_network and not any(library_caches.models(*one) for one in candidates):
                raise lacks(str(found), str(home.models))


def _a_file(path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"There is no file {path}", "Check the path.", "model_missing")
    return path


def _check_adapter(folder: Path) -> None:
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"There is no adapter in {folder}",
            "Give a folder with adapter_config.json and adapter_model.safetensors, as peft saves them.",
            "no_adapter",
        )


def _check_model(folder: Path) -> None:
    hint = "Give a folder with config.json, *.safetensors and the tokenizer, or 'starter'."
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError as error:
        raise ModelError(f"There is no model folder {folder}", hint, "model_missing") from error
    except OSError as error:
        raise ModelError(
            f"Cannot read the model folder {folder}: {error.strerror}", hint, "model_unreadable"
        ) from error
    if "config.json" not in names:
        raise ModelError(f"{folder} has no config.json", hint, "model_incomplete")
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelError(f"{folder} has no .safetensors file", hint, "model_incomplete")


def _check_start(folder: Path) -> None:
    """That it fits and is whole the worker sees, which knows the base. Raises ModelError."""
    if not any((folder / name).is_file() for name in ("adapter_model.safetensors", "config.json")):
        raise ModelError(
            f"There is nothing to train on from in {folder}",
            "Give the adapter (or merged model) that a run exported; `tunesmith jobs more RUN --epochs 1` does it.",
            "nothing_to_start_from",
        )


def _check_of(artifacts: Path, task: str) -> None:
    """Raises ModelError when no run has left anything there; that it is whole the worker sees."""
    if not again.is_left(artifacts, task):
        raise again.nothing_left(artifacts)


def _check_data(path: Path) -> None:
    """`path` is a file, folder or glob; the first of its files is looked into. Raises DataError."""
    file = Path(sources.find([path])[0].path)
    with file.open("rb") as opened:
        start = opened.read(LOOK_BYTES)
    if not start.strip():
        hint = "Give a file with a row a line, or 'starter'."
        raise DataError(f"The data file {file} is empty ({file.stat().st_size} bytes)", hint, "data_empty")
