"""What a model that answers takes of memory: forecast before it is loaded, and held back while it is."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec
import psutil

from tunesmith.daemon.api.view import JobView
from tunesmith.daemon.serving.lines import Share
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.recipes import models
from tunesmith.recipes.errors import ModelError, TunesmithError
from tunesmith.recipes.models import gguf_config
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import inference
from tunesmith.recipes.planner.place import RUNTIME_BYTES, Place
from tunesmith.recipes.units import bytes_text

CELLS = 2  # contexts that the engines keep at once, whatever their slots
WEIGHT_BYTES = 4  # on a CPU transformers computes in float32
CONVERTED = "q8_0"
# Of an engine beside us; estimates from what its logs say of others' machines, not measured: three processes with torch
# and CUDA in them; on the device a CUDA context, CUDA graphs and what the longest batch computes with.
SERVER_BYTES, SERVED_BYTES = 5_000_000_000, 2
REST_BYTES = 3_000_000_000
LEFT_BYTES = 300_000_000  # of the machine's memory, for everything else
log = logging.getLogger("tunesmith.serving")


class Needed(msgspec.Struct, frozen=True):
    """Of the machine's memory; and what an engine that is installed beside us takes of the device's, where it does."""

    bytes: int
    share: Share | None = None

    @property
    def device_bytes(self) -> int:
        one = self.share
        return 0 if one is None or one.device == "cpu" else one.weights + one.cache + one.rest


def of_server(subject: Subject, context: int, slots: int, place: Place) -> Needed:
    """For an engine that is installed beside us: it takes all that it will ever want when it starts.

    That is a whole conversation for each of its slots, so that none has to wait for another's memory.
    """
    size = stored_bytes(subject.path)
    try:
        facts = facts_of(subject)
        # It computes in 16 bit whatever the files have; what is quantized stays so.
        weights = min(size or facts.parameters * SERVED_BYTES, facts.parameters * SERVED_BYTES)
        cache = facts.kv_cache_bytes(context, SERVED_BYTES) * slots
    except (TunesmithError, OSError, ValueError, KeyError) as error:
        log.info("%s says nothing of its shape: %s", subject.path, error)
        weights, cache = size, size
    if place.device == "cpu":
        share = Share("cpu", weights, cache, 0, place.host_memory_bytes, place.host_free_bytes)
        return Needed(weights + cache + SERVER_BYTES, share)
    return Needed(SERVER_BYTES, Share(place.device, weights, cache, REST_BYTES, place.memory_bytes, place.free_bytes))


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
        seen = 0 if subject.eyes is None else stored_bytes(subject.eyes) + inference.SEEING_BYTES
        return Needed((size or found.file) + found.kv_cache + found.runtime + seen)
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
    own = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *(process.children(recursive=True) if need.share is not None else ())):
            found = one.memory_info()
            # Pages of files can be dropped, so the system calls them free; a model that is at work wants all its own.
            own += found.rss - getattr(found, "shared", 0)
    except psutil.NoSuchProcess:
        return 0
    return max(0, need.bytes - own)


def of_runs(views: Iterable[JobView]) -> int:
    """Bytes that runs at work will come to take, by their forecasts, and do not take yet."""
    return sum(unseen(Needed(ahead(view)), view.pid) for view in views if view.pid)


def ahead(view: JobView) -> int:
    """The most that the stages which are not over will take: one that asks what it has trained needs no more of it."""
    over = {stage.name for stage in view.stages if stage.state == "done"}
    left = view.forecast.stages if view.forecast is not None else ()
    return max((stage.host_bytes for stage in left if stage.stage not in over), default=0)


def on_device(views: Iterable[JobView]) -> int:
    """Bytes of the device that runs at work take or will come to take, by their forecasts."""
    return sum(view.forecast.device_bytes for view in views if view.forecast and view.pid)


def refusal(subject: Subject, need: int, free: int, what: str = "memory") -> ModelError:
    return ModelError(
        f"{subject.name} needs {bytes_text(need)} of {what}, of which {bytes_text(max(free, 0))} are free",
        "Wait for the run at work to end, stop what else is served, or serve a smaller file of it.",
        "engine_does_not_fit",
    )
