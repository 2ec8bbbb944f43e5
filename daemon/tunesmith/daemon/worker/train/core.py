"""The training core: what a step computes and which paths it takes, the same for every method."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker.kernels import attention
from tunesmith.daemon.worker.kernels.cross_entropy import cross_entropy, linear_cross_entropy
from tunesmith.daemon.worker.kernels.table import KERNELS
from tunesmith.daemon.worker.packing.windows import Row, Step, Window, packed, padded
from tunesmith.daemon.worker.train import flops, proof
from tunesmith.recipes.spec import TrainingSpec

# Tokens computed at once where the recipe says nothing. On CPUs more costs memory and gains little; measured on
# SmolLM2-135M, two cores: 328 tokens 2.38 s, 656 tokens 2.17 s a step, at 1.44 and 1.86 GB.
WINDOWS = {"cpu": 512, "mps": 2048, "cuda": 8192}
ATTENDED_LAYERS = {"full_attention", "sliding_attention"}
RECURRENT = ("mamba", "ssm", "conv", "linear_attn", "recurrent", "rwkv")


class Core:
    """What a method's trainer needs of the engine. `paths` says how each part is computed and why.

    `model` is the model that trains, with its adapter if it has one.
    """

    def __init__(self, model: Any, device: str, pad: int, size: int) -> None:
        self.model, self.device, self.pad, self.size = model, device, pad, size
        self.base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.packs = False
        self.linear_head = False
        self.paths: tuple[PathTaken, ...] = ()
        self._work: flops.Summary | None = None
        self._undo: list[Callable[[], None]] = []
        # Ready-made masks have four dimensions; with one of them models build none of their own.
        self._no_mask = torch.zeros(1, 1, 1, 1, device=device)

    def step(self, rows: Sequence[Row]) -> Step:
        """The windows of one optimizer step over `rows`."""
        return packed(rows, self.size) if self.packs else padded(rows, self.size, self.pad)

    def flops(self, step: Step) -> float:
        """Useful floating-point operations of a step, forward and backward."""
        if self._work is None:
            self._work = flops.summarize(self.base)
        return flops.useful(self._work, [length for window in step for length in window.lengths], step.labels)

    def summed_loss(self, window: Window) -> tuple[Any, Any]:
        """Cross entropy in nats summed over the window's labels (differentiable), and how many were predicted right."""
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

    def fuse(self, leave_out: Sequence[str] = ()) -> dict[str, Counter[str]]:
        """Every part that can be is fused; of each part, how many layers are ("") and why the others are not."""
        found = {}
        for kernel in KERNELS:
            if kernel.part in leave_out:
                continue
            counts = Counter[str]()
            for module in list(kernel.candidates(self.model)):
                why = kernel.refusal(module)
                counts[why] += 1
                if not why:
                    self._undo.append(kernel.fuse(module))
            found[kernel.part] = counts
        return found

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


def build(model: Any, *, training: TrainingSpec, device: str, pad_token_id: int) -> Core:
    """The core for `model`, each faster path proven equal to the plain model on two short sequences before it is taken.

    What cannot be proven is not used, and `paths` says so.
    """
    attention.register()
    core = Core(model, device, pad_token_id, training.window or WINDOWS.get(device, 2048))
    began = time.perf_counter()
    reference = proof.reference(core)
    packing, blocked = training.packing, "the recipe says packing: false"
    if packing:
        blocked = unpackable(core.base)
        packing = not blocked
    plain_attention = core.base.config._attn_implementation
    parts = [kernel.part for kernel in KERNELS]
    off = {part: "the recipe says fused: false" for part in parts} if not training.fused else {}
    failed = ""
    without: tuple[str, ...] = ()
    for attempt in attempts(packing, [part for part in parts if part not in off]):
        core.packs, core.linear_head = attempt.packed, attempt.linear_head
        core.base.set_attn_implementation(attention.NAME if attempt.packed else plain_attention)
        backend, slower = attention.choose(device, reference.dtype, attempt.no_backends)
        counts = core.fuse((*off, *attempt.no_kernels))
        difference = proof.differs(core, reference)
        if not difference:
            without = attempt.no_kernels
            break
        failed = failed or difference
        core.unfuse()
    core.paths = (
        *_packing_path(core, blocked or failed),
        *_attention_path(core, backend, slower, plain_attention),
        *_loss_path(core, failed),
        *_kernel_paths(counts, off | dict.fromkeys(without, failed)),
        PathTaken(
            "proof",
            reference.text(),
            f"two short sequences, packed and fused against the plain model, in {time.perf_counter() - began:.1f} s",
        ),
    )
    return core


class Attempt:
    """A choice of paths to be proven."""

    def __init__(
        self, packed: bool, linear_head: bool = True, no_kernels: Sequence[str] = (), no_backends: Sequence[str] = ()
    ) -> None:
        self.packed, self.linear_head = packed, linear_head
        self.no_kernels, self.no_backends = tuple(no_kernels), tuple(no_backends)


def attempts(packing: bool, kernels: Sequence[str]) -> list[Attempt]:
    """From the fastest to the plain model: each alone out first, then all that is ours."""
    found = []
    for packs in (True, False) if packing else (False,):
        found += [Attempt(packs), Attempt(packs, linear_head=False)]
        found += [Attempt(packs, no_kernels=[kernel]) for kernel in kernels]
        if packs:
            flash = [backend.key for backend in attention.BACKENDS[:-1]]
            found += [Attempt(packs, no_backends=flash[:count]) for count in range(1, len(flash) + 1)]
        found += [Attempt(packs, no_kernels=kernels), Attempt(packs, linear_head=False, no_kernels=kernels)]
    return found


def unpackable(base: Any) -> str:
    """Why sequences of `base` cannot be laid end to end; empty when they can."""
    config = base.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ()) - ATTENDED_LAYERS
    if kinds:
        return f"its layers are {', '.join(sorted(kinds))}: their state would run from one sequence into the next"
    for name, module in base.named_modules():
        kind = type(module).__name__.lower()
        if any(word in kind or word in name.rsplit(".", 1)[-1] for word in RECURRENT):
            return f"{name} ({type(module).__name__}) mixes neighbouring tokens other than by attention"
    if not getattr(base, "_supports_attention_backend", False):
        return f"{type(base).__name__} does not take its attention from transformers' registry"
    return ""


def _packing_path(core: Core, blocked: str) -> list[PathTaken]:
    if core.packs:
        why = "sequences end to end, no padding; a step's rows and its mean loss stay the same"
        return [PathTaken("packing", f"windows of at most {core.size} tokens", why)]
    return [PathTaken("packing", "batches of like length, padded", blocked, fastest=False)]


def _attention_path(core: Core, backend: Any, slower: list[str], plain: str) -> list[PathTaken]:
    if not core.packs:
        return [PathTaken("attention", plain, "not packed, so by transformers", fastest=False)]
    if core.device != "cuda":
        why = f"kernels for sequences of different length are CUDA's; this device is {core.device}"
        return [PathTaken("attention", backend.key, why)]
    return [PathTaken("attention", backend.key, "; ".join(slower) or "the fastest there is", fastest=not slower)]


def _loss_path(core: Core, failed: str) -> list[PathTaken]:
    if core.linear_head:
        return [PathTaken("loss", "labelled positions, in chunks", "the logits of other positions change nothing")]
    return [PathTaken("loss", "labelled positions, whole head", failed, fastest=False)]


def _kernel_paths(counts: dict[str, Counter[str]], off: dict[str, str]) -> list[PathTaken]:
    paths = [PathTaken(part, "plain", why, fastest=False) for part, why in off.items()]
    for part, found in counts.items():
        fused, total = found[""], found.total()
        if not total:
            continue
        reasons = "; ".join(f"{count} not: {why}" for why, count in found.items() if why)
        taken = "fused" if fused == total else f"fused in {fused} of {total}" if fused else "plain"
        paths.append(PathTaken(part, taken, reasons or "equal to the plain layers here", fastest=fused == total))
    return paths
