"""Which paths a run takes: the fastest that are proven here to compute what the plain model does, and why."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from tunesmith.daemon.api import wording
from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker.kernels import attention, products
from tunesmith.daemon.worker.kernels.table import KERNELS, LIGER
from tunesmith.daemon.worker.train import proof
from tunesmith.daemon.worker.train.core import Core, Fused
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.planner import computed
from tunesmith.recipes.spec import TrainingSpec
from tunesmith.recipes.words import Words, reasons, say

ATTENDED_LAYERS = {"full_attention", "sliding_attention"}
RECURRENT = {"mamba", "ssm", "conv", "recurrent", "rwkv"}
DROPOUTS = ("attention_dropout", "attn_pdrop", "attn_dropout", "attention_probs_dropout_prob")  # configurations' names
COMPILERS = ("c++", "g++", "clang++")
FLASH = tuple(backend.key for backend in attention.BACKENDS[:-1])
ALL_KERNELS = frozenset(kernel.key for kernel in KERNELS)
TAKEN = {"fused": say("fused", "fused"), "plain": say("plain", "plain"), LIGER: say("by_liger", "by Liger")}


class Attempt(msgspec.Struct, frozen=True):
    """A choice of paths. `without` are the kernels left out, `backends` those of attention."""

    packed: bool
    linear_head: bool = True
    compiled: bool = False
    without: frozenset[str] = frozenset()
    backends: tuple[str, ...] = ()

    def unlike(self, other: Attempt) -> int:
        """In how many choices they differ."""
        choices = (self.packed, self.linear_head, self.compiled, self.backends)
        others = (other.packed, other.linear_head, other.compiled, other.backends)
        return sum(one != two for one, two in zip(choices, others, strict=True)) + len(self.without ^ other.without)


def build(model: Any, *, training: TrainingSpec, device: str, pad_token_id: int) -> Core:
    """The core for `model`, each faster path proven equal to the plain model on short sequences before it is taken.

    What cannot be proven is not used, and the core's `paths` say so. Raises ModelError when even the plain model does
    not compute the same twice.
    """
    attention.register()
    began = time.perf_counter()

    def took() -> str:
        return f"{time.perf_counter() - began:.1f}"

    core = Core(model, device, pad_token_id, training.window or window(model, device))
    plain = proof.reference(core)
    plain_attention = core.base.config._attn_implementation
    blocked = unpackable(core.base) if training.packing else says("packing: false")
    uncompiled = compiler_missing(device) if training.compile else says("compile: false")
    off = frozenset() if training.fused else ALL_KERNELS
    failed: dict[Attempt, str] = {}
    for attempt in attempts(not blocked, not uncompiled, off):
        if blocked and attempt.packed:
            continue
        core.packs, core.linear_head = attempt.packed, attempt.linear_head
        core.base.set_attn_implementation(attention.NAME if attempt.packed else plain_attention)
        backend, slower = attention.choose(device, plain.dtype, attempt.backends)
        fused = core.fuse(attempt.without)
        if attempt.compiled:
            core.compile()
        try:
            different = proof.differs(core, plain)
        except attention.CannotPack as error:
            different = blocked = error.why
        if not different:
            break
        failed[attempt] = different
        core.unfuse()
    else:
        raise ModelError(
            f"The model does not compute the same twice: {different}.",
            "Check that its files are whole; no fused part had a part in it.",
        )

    def why(had: Callable[[Attempt], bool]) -> str:
        """What was found with something that is left out now, all else being as much the same as was tried."""
        tried = [other for other in failed if had(other)]
        return failed[min(tried, key=attempt.unlike)] if tried else ""

    reasons = {key: why(lambda other, key=key: key not in other.without) for key in attempt.without - off}  # type: ignore[misc]
    core.paths = (
        packing_path(core, blocked or why(lambda other: other.packed)),
        attention_path(core, backend.key, slower, plain_attention),
        loss_path(core, why(lambda other: other.linear_head)),
        products_path(core, plain.dtype),
        *kernel_paths(fused, dict.fromkeys(off, says("fused: false")) | reasons),
        compile_path(training, attempt, uncompiled or why(lambda other: other.compiled)),
        wording.path(
            "proof", plain.text(), say("proven_in", "against the plain model, in {seconds} s", seconds=took())
        ),
    )
    return core


def window(model: Any, device: str) -> int:
    """Tokens computed at once where the recipe says nothing."""
    quantized = any(hasattr(weight, "quant_state") for weight in model.parameters())
    return computed.window(device, adapter=hasattr(model, "peft_config"), quantized=quantized)


def attempts(packing: bool, compiling: bool, off: frozenset[str]) -> Iterator[Attempt]:
    """From the fastest to the plain model: one thing left out at a time, then all that is ours."""
    change = msgspec.structs.replace
    for packed in (True, False) if packing else (False,):
        whole = Attempt(packed, without=off)
        if compiling:
            yield change(whole, compiled=True)
        yield whole
        yield change(whole, linear_head=False)
        for linear_head in (True, False):
            here = change(whole, linear_head=linear_head)
            for kernel in KERNELS:
                if kernel.key not in off:
                    yield change(here, without=off | {kernel.key})
            for part in sorted({kernel.part for kernel in KERNELS if kernel.key not in off}):
                yield change(here, without=off | {kernel.key for kernel in KERNELS if kernel.part == part})
            if packed:
                yield from (change(here, backends=FLASH[:count]) for count in range(1, len(FLASH) + 1))
        yield change(whole, without=ALL_KERNELS)
        yield change(whole, without=ALL_KERNELS, linear_head=False)


def unpackable(base: Any) -> str:
    """Why sequences of `base` cannot be laid end to end; empty when they can."""
    from transformers.pytorch_utils import Conv1D  # a linear layer, whatever its name

    config = base.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ()) - ATTENDED_LAYERS
    if kinds:
        english = "its layers are {kinds}: their state would run from one sequence into the next"
        return say("state_runs_on", english, kinds=", ".join(sorted(kinds)))
    for name, module in base.get_decoder().named_modules():  # what looks at pictures is not in the step
        words = {word.lower() for word in re.findall("[A-Z]?[a-z]+", type(module).__name__)}
        if words & RECURRENT and not isinstance(module, Conv1D):
            english = "{name} ({kind}) mixes neighbouring tokens other than by attention"
            return say("mixes_tokens", english, name=name, kind=type(module).__name__)
    if any(getattr(config, name, None) for name in DROPOUTS):
        return say("packed_dropout", "its attention has dropout, which packed attention does not")
    if not getattr(base, "_supports_attention_backend", False):
        english = "{name} does not take its attention from transformers' registry"
        return say("no_registry", english, name=type(base).__name__)
    return ""


def compiler_missing(device: str) -> str:
    """Why torch.compile cannot be used; empty when it can."""
    if device == "cpu" and not any(shutil.which(name) for name in COMPILERS):
        return say("no_compiler", "there is no C++ compiler ({names})", names=", ".join(COMPILERS))
    return ""


def says(setting: str) -> Words:
    return say("recipe_says", "the recipe says {setting}", setting=setting)


def of_taken(name: str) -> str:
    """`fused` and `plain` are words; other names are those of libraries."""
    return TAKEN.get(name, name)


def compile_path(training: TrainingSpec, attempt: Attempt, uncompiled: str) -> PathTaken:
    if attempt.compiled:
        return wording.path("compile", "torch.compile", say("asked_for", "the recipe asks for it"))
    return wording.path("compile", say("off", "off"), uncompiled, fastest=not training.compile)


def packing_path(core: Core, blocked: str) -> PathTaken:
    if core.packs:
        why = say("end_to_end", "sequences end to end, no padding; a step's rows and its mean loss stay the same")
        return wording.path("packing", say("windows", "windows of at most {tokens} tokens", tokens=core.size), why)
    return wording.path("packing", say("padded", "batches of like length, padded"), blocked, fastest=False)


def attention_path(core: Core, backend: str, slower: list[Words], plain: str) -> PathTaken:
    if not core.packs:
        return wording.path(
            "attention", plain, say("unpacked_attention", "not packed, so by transformers"), fastest=False
        )
    if core.device != "cuda":
        english = "kernels for sequences of different length are CUDA's; this device is {device}"
        return wording.path("attention", backend, say("varlen_is_cudas", english, device=core.device))
    fastest = say("fastest", "the fastest there is")
    return wording.path("attention", backend, reasons(slower) or fastest, fastest=not slower)


def loss_path(core: Core, failed: str) -> PathTaken:
    if core.linear_head:
        why = say("other_positions", "the logits of other positions change nothing")
        return wording.path("loss", say("loss_in_chunks", "labelled positions, in chunks"), why)
    return wording.path("loss", say("loss_whole_head", "labelled positions, whole head"), failed, fastest=False)


def products_path(core: Core, dtype: Any) -> PathTaken:
    """Of the products with weights in fused layers and in the loss."""
    if core.device != "cpu" or str(dtype) != "torch.float32":
        why = say("onednn_for", "oneDNN is called for float32 on CPUs only")
        return wording.path("products", "torch.mm", why)
    missing = products.missing()
    if missing:
        return wording.path("products", "torch.mm", missing, fastest=False)
    english = "in float32; twice as fast as torch.mm on AMD, where it was measured"
    return wording.path("products", "oneDNN", say("onednn_twice", english))


def kernel_paths(fused: Mapping[str, Fused], without: Mapping[str, str]) -> Iterator[PathTaken]:
    """A path a part, those without a layer in this model left out. `without` says of kernels why they are not used."""
    for part in dict.fromkeys(kernel.part for kernel in KERNELS):
        of_part = (kernel for kernel in KERNELS if kernel.part == part and kernel.key in without)
        left_out = {kernel.taken: without[kernel.key] for kernel in of_part}
        told: list[str] = [
            say("not_taken", "not {taken}: {why}", taken=of_taken(taken), why=why) for taken, why in left_out.items()
        ]
        found = fused.get(part)
        if found is None:
            if left_out:
                yield wording.path(part, of_taken("plain"), reasons(dict.fromkeys(left_out.values())), fastest=False)
            continue
        count, total = found.layers[""], found.layers.total()
        told += [
            say("so_many_not", "{number} not: {why}", number=number, why=why)
            for why, number in found.layers.items()
            if why
        ]
        taken = of_taken(found.taken if count else "plain")
        if 0 < count < total:
            taken = say("taken_in", "{taken} in {count} of {total}", taken=taken, count=count, total=total)
        proven = say("proven_equal", "proven equal to the plain layers")
        yield wording.path(part, taken, reasons(told) or proven, fastest=not told)
