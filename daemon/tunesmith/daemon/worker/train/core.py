"""The training core: what a step computes, the same for every method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import torch

from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker.kernels.cross_entropy import cross_entropy, linear_cross_entropy
from tunesmith.daemon.worker.kernels.table import KERNELS
from tunesmith.daemon.worker.packing.windows import Row, Step, Window, packed, packed_places, padded, padded_places
from tunesmith.daemon.worker.processor import Heap
from tunesmith.daemon.worker.train import flops

MLP_BLOCKS = 2  # a layer keeps the gate's and the other input of its product, as wide as the MLP, for backward


class Fused:
    """How a part is computed: `layers` counts those that are fused ("") and, by reason, those that are not."""

    def __init__(self, taken: str) -> None:
        self.taken, self.layers = taken, Counter[str]()


class Core:
    """What a method's trainer needs of the engine. `paths` says how each part is computed and why.

    `model` is the model that trains, with its adapter if it has one.
    """

    def __init__(self, model: Any, device: str, pad: int, size: int) -> None:
        self.model, self.device, self.pad, self.size = model, device, pad, size
        self.base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.alone = longest_turned_alike(self.base.config.get_text_config())
        self.packs = False
        self.linear_head = False
        self.paths: tuple[PathTaken, ...] = ()
        self._work: flops.Summary | None = None
        self._undo: list[Callable[[], None]] = []
        self._heap = Heap(token_bytes(self.base)) if device == "cpu" else None
        # Ready-made masks have four dimensions; with one of them models build none of their own.
        self._no_mask = torch.zeros(1, 1, 1, 1, device=device)

    def step(self, rows: Sequence[Row]) -> Step:
        """The windows of one optimizer step over `rows`."""
        if self.packs:
            return packed(rows, self.size, self.alone)
        return padded(rows, self.size, self.pad, self.alone)

    def sizes(self, lengths: Sequence[int]) -> list[int]:
        """Positions of each window of a step over rows of `lengths` tokens, padding counted."""
        if self.packs:
            return [sum(lengths[place] for place in places) for places in packed_places(lengths, self.size, self.alone)]
        found = padded_places(lengths, self.size, self.alone)
        return [len(places) * max(lengths[place] for place in places) for places in found]

    def flops(self, step: Step) -> float:
        """Useful floating-point operations of a step, forward and backward."""
        if self._work is None:
            self._work = flops.summarize(self.base)
        return flops.useful(self._work, [length for window in step for length in window.lengths], step.labels)

    def keep_within(self, forecast_bytes: int, layers: int) -> None:
        """On a CPU: what lies free in the heap is given back before training passes its forecast; `layers` of the model
        keep what they computed for backward.
        """
        if self._heap is not None:
            self._heap.keep_within(forecast_bytes, MLP_BLOCKS * layers)

    def summed_loss(self, window: Window) -> tuple[Any, Any]:
        """Cross entropy in nats summed over the window's labels (differentiable), and how many were predicted right."""
        if self._heap is not None:
            self._heap.before(window.positions)
        window = window.to(self.device)
        inputs: dict[str, Any] = {"input_ids": window.input_ids, "use_cache": False}
        if window.segments is None:
            inputs["attention_mask"] = window.attention_mask
        else:
            inputs |= {
                "attention_mask": self._no_mask,
                "position_ids": window.position_ids,
                "segments": window.segments,
            }
        if self.linear_head:
            hidden = self.base.get_decoder()(**inputs).last_hidden_state
            chosen = hidden.reshape(-1, hidden.shape[-1]).index_select(0, window.kept)
            return linear_cross_entropy(chosen, self.base.get_output_embeddings(), window.targets)
        length = window.input_ids.shape[1]
        columns, place = torch.unique(window.kept % length, return_inverse=True)
        logits = self.base(**inputs, logits_to_keep=columns).logits
        flat = window.kept // length * len(columns) + place
        return cross_entropy(logits.reshape(-1, logits.shape[-1]).index_select(0, flat), window.targets)

    def fuse(self, leave_out: Collection[str] = ()) -> dict[str, Fused]:
        """Every part is computed by the fastest kernel that is here and not left out (by its key)."""
        found: dict[str, Fused] = {}
        for kernel in KERNELS:
            if kernel.part in found:
                continue
            missing = "left out" if kernel.key in leave_out else kernel.missing(self.device)
            modules = [] if missing else list(kernel.candidates(self.model))
            if not modules:
                continue
            fused = found[kernel.part] = Fused(kernel.taken)
            for module in modules:
                why = kernel.refusal(module)
                fused.layers[why] += 1
                if not why:
                    self._undo.append(kernel.fuse(module))
        return found

    def compile(self) -> None:
        """Every layer through torch.compile, for windows of any length; it fails, if it does, when it first runs."""
        for layer in self.base.get_decoder().layers:
            layer.compile(dynamic=True)
            self._undo.append(partial(setattr, layer, "_compiled_call_impl", None))

    def beside(self, model: Any) -> Core:
        """A core that computes the loss of another model of this architecture by the same paths, nothing fused."""
        other = Core(model, self.device, self.pad, self.size)
        other.packs, other.linear_head = self.packs, self.linear_head
        other.base.set_attn_implementation(self.base.config._attn_implementation)
        return other

    def unfuse(self) -> None:
        """Every part is computed by its own model's code again."""
        while self._undo:
            self._undo.pop()()


def token_bytes(model: Any) -> tuple[int, ...]:
    """Of one token, in the blocks that layers keep of a window: as wide as the model, and as its MLP."""
    config = model.config.get_text_config()
    widths = (config.hidden_size, getattr(config, "intermediate_size", None))
    return tuple(width * model.dtype.itemsize for width in widths if isinstance(width, int))


def longest_turned_alike(config: Any) -> int | None:
    """How many tokens a row may have before the rotary embedding of a whole window changes with it; None for all.

    `longrope` (Ding et al. 2024, arXiv:2402.13753) and `dynamic` choose their angles by the longest row there is.
    """
    given = getattr(config, "rope_parameters", None) or {}
    limits = []
    for rope in (given, *(value for value in given.values() if isinstance(value, dict))):
        if rope.get("rope_type") == "longrope":
            limits.append(rope.get("original_max_position_embeddings") or config.max_position_embeddings)
        elif rope.get("rope_type") == "dynamic":
            limits.append(config.max_position_embeddings)
    return min(limits, default=None)
