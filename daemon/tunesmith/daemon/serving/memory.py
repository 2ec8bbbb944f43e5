"""What a model that answers takes of memory: forecast before it is loaded, and held back while it is."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec
import psutil

from tunesmith.daemon.api.view import JobView
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.recipes import models
from tunesmith.recipes.errors import ModelError, TunesmithError
from tunesmith.recipes.models import gguf_config
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import inference
from tunesmith.recipes.planner.place import RUNTIME_BYTES
from tunesmith.recipes.units import bytes_text

CELLS = 2  # contexts that the engines keep at once, whatever their slots
WEIGHT_BYTES = 4  # on a CPU transformers computes in float32
CONVERTED = "q8_0"
LEFT_BYTES = 300_000_000  # of the machine's memory, for everything else
log = logging.getLogger("tunesmith.serving")


class Needed(msgspec.Struct, frozen=True):
    """Of the machine's memory."""

    bytes: int


def needed(subject: Subject, context: int) -> Needed:
    """For `subject` with conversations of `context` tokens. What cannot be read counts as its files' size alone."""
    size = stored_bytes(subject.path)
    try:
        facts = facts_of(subject)
    except (TunesmithError, OSError, ValueError, KeyError) as error:
        log.info("%s says nothing of its shape: %s", subject.path, error)
        return Needed(size + inference.PROCESS_BYTES + inference.BUFFERS_BYTES)
    if subject.path.suffix == ".gguf":
        found = inference.chat(facts, CONVERTED, context * CELLS)
        return Needed((size or found.file) + found.kv_cache + found.runtime)
    weights = facts.parameters * WEIGHT_BYTES
    return Needed(weights + facts.kv_cache_bytes(context, WEIGHT_BYTES) * CELLS + RUNTIME_BYTES["cpu"])


def facts_of(subject: Subject) -> ModelFacts:
    """Raises TunesmithError, OSError."""
    if subject.convert:
        return models.read(Path(subject.convert))
    if subject.path.suffix == ".gguf":
        return models.from_config(gguf_config.config(subject.path), str(subject.path))
    return models.read(subject.path)


def stored_bytes(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.glob("*.safetensors"))
    return path.stat().st_size if path.is_file() else 0


def unseen(need: Needed, pid: int) -> int:
    """Of what a process needs, what the machine's free memory does not show yet: it is still loading, or mapped."""
    try:
        found = psutil.Process(pid).memory_info()
    except psutil.NoSuchProcess:
        return 0
    # Pages of files can be dropped, so the system calls them free; a model that is at work wants all of its own.
    own = found.rss - getattr(found, "shared", 0)
    return max(0, need.bytes - own)


def of_runs(views: Iterable[JobView]) -> int:
    """Bytes that runs at work will come to take, by their forecasts, and do not take yet."""
    return sum(unseen(Needed(ahead(view)), view.pid) for view in views if view.pid)


def ahead(view: JobView) -> int:
    """The most that the stages which are not over will take: one that asks what it has trained needs no more of it."""
    over = {stage.name for stage in view.stages if stage.state == "done"}
    left = view.forecast.stages if view.forecast is not None else ()
    return max((stage.host_bytes for stage in left if stage.stage not in over), default=0)


def refusal(subject: Subject, need: int, free: int) -> ModelError:
    return ModelError(
        f"{subject.name} needs {bytes_text(need)} of memory, of which {bytes_text(max(free, 0))} are free",
        "Wait for the run at work to end, stop what else is served, or serve a smaller file of it.",
        "engine_does_not_fit",
    )
