"""A real but tiny model folder (random weights, the starter's tokenizer) and jobs on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny_model as tiny_model_maker

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes import spec as recipe

MakeContext = Callable[..., Context]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_maker.make(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def make_context(tmp_path: Path) -> MakeContext:
    """A context of job 1 for a recipe given as a mapping, its base set when it is a folder."""

    def make(**parts: Any) -> Context:
        job = tmp_path / "home" / "jobs" / "1"
        job.mkdir(parents=True, exist_ok=True)
        spec = recipe.parse(json.dumps(parts), tmp_path)
        (job / "spec.json").write_bytes(msgspec.json.encode(spec))
        context = Context(job, 1)
        if spec.model.source != "starter" and Path(spec.model.source).is_dir():
            context.base = Path(spec.model.source)
        return context

    return make


@pytest.fixture
def told() -> Callable[[Context], list[e.Event]]:
    """Every event in a context's journal."""

    def read(context: Context) -> list[e.Event]:
        lines = (context.job / f"journal-{context.attempt}.jsonl").read_bytes().splitlines()
        return [e.decode(line) for line in lines]

    return read


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for each other on a busy machine would take most of the time."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def another(make_context: MakeContext, tmp_path: Path) -> Callable[[dict[str, Any]], Context]:
    """A context of the same recipe whose job has not been tried."""

    def make(values: dict[str, Any]) -> Context:
        context = make_context(**values)
        shutil.rmtree(context.job)
        return make_context(**values)

    return make
