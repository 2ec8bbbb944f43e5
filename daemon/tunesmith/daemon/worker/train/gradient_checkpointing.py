"""Gradient checkpointing: which layers forget their activations and compute them again in the backward pass.

Short sequences are computed to see what each layer keeps for a token, so the choice suits the paths the run takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from tunesmith.daemon.api import wording
from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker.packing.windows import Row, Step, Window
from tunesmith.recipes import optimizers
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.planner.computed import ROWS
from tunesmith.recipes.spec import TrainingSpec
from tunesmith.recipes.units import bytes_text
from tunesmith.recipes.words import say

# Of the memory that is free: the rest is for the loss, what kernels need for themselves, and fragmentation.
USABLE = 0.7
# Tokens. Three lengths: what does not grow with them is no activation, and without a fused attention some of it grows
# with their square. Multiples of the rows that products are filled up to.
PROBES = (ROWS, 2 * ROWS, 3 * ROWS)
PART = "activations"
KEPT = say("kept", "kept")


class Computing(Protocol):
    """What is needed of the training core."""

    model: Any
    base: Any

    def step(self, rows: Sequence[Row]) -> Step: ...
    def summed_loss(self, window: Window) -> tuple[Any, Any]: ...


class Kept:
    """Bytes kept for backward for one token: by each layer in order, outside of them, and of a layer's input."""

    def __init__(self, layers: list[float], rest: float, inputs: float) -> None:
        self.layers, self.rest, self.inputs = layers, rest, inputs

    def total(self, chosen: Sequence[int]) -> float:
        """With the layers at `chosen` places checkpointed; the largest of them is there while it is computed again."""
        again = max((self.layers[place] for place in chosen), default=0.0)
        kept = sum(size for place, size in enumerate(self.layers) if place not in set(chosen))
        return kept + len(chosen) * self.inputs + again + self.rest


def choose(
    core: Computing, training: TrainingSpec, device: str, longest: int, size: int, free: int | None = None
) -> tuple[int, PathTaken]:
    """Checkpoint as many layers as the recipe says, or as memory asks for; how many, and why.

    `longest` is the longest sequence and `size` the window, in tokens; `free` bytes, None: measured. Raises ModelError
    when the recipe asks for what the model cannot do.
    """
    wanted, count = training.checkpointing, len(checkpointable(core.base))
    if wanted == "off":
        return 0, wording.path(PART, KEPT, asked("off"))
    if not count:
        name = type(core.base).__name__
        what = say("no_such_layers", "{model} has no layers that can be checkpointed", model=name)
        if wanted != "auto":
            raise ModelError(str(what), "Set training.gradient_checkpointing to auto or off.")
        return 0, wording.path(PART, KEPT, what)
    if wanted != "auto":
        layers = count if wanted == "full" else (count + 1) // 2
        checkpoint(core.base, spread(layers, count))
        return layers, taken(layers, count, asked(wanted))
    tokens = max(longest, min(size, longest * training.batch_size * training.gradient_accumulation))
    if free is None:
        free = free_bytes(device) - to_come(core.model, training)
    kept = measure(core, longest)
    for layers in range(count + 1):
        needed = tokens * kept.total(spread(layers, count))
        if needed <= USABLE * free:
            break
    checkpoint(core.base, spread(layers, count))
    amount = say(
        "window_keeps",
        "a window of {tokens} tokens keeps {bytes}, {free} are free",
        tokens=tokens,
        bytes=bytes_text(needed),
        free=bytes_text(max(0, free)),
    )
    return layers, taken(layers, count, amount)


def asked(value: str) -> str:
    return say("recipe_says", "the recipe says {setting}", setting=f"gradient_checkpointing: {value}")


def taken(layers: int, count: int, why: str) -> PathTaken:
    if not layers:
        return wording.path(PART, KEPT, why)
    again = say("computed_again", "computed again in {layers} of {count} layers", layers=layers, count=count)
    return wording.path(PART, again, why, fastest=False)


def checkpointable(base: Any) -> list[Any]:
    """The layers of `base` that can be checkpointed, in order."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    if not base.supports_gradient_checkpointing:
        return []
    return [module for module in base.modules() if isinstance(module, GradientCheckpointingLayer)]


def spread(layers: int, count: int) -> list[int]:
    """`layers` of `count` places, evenly."""
    return [place for place in range(count) if (place + 1) * layers // count > place * layers // count]


def checkpoint(base: Any, chosen: Sequence[int]) -> None:
    """From here on the layers at `chosen` places keep their input only; the others all they keep by themselves."""
    for place, layer in enumerate(checkpointable(base)):
        for module in layer.modules():
            module.recomputed = place in set(chosen)  # quantized kernels keep more where backward follows at once
    if not chosen:
        base.activation_checkpointing_disable()
        return
    base.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    for place, layer in enumerate(checkpointable(base)):
        layer.gradient_checkpointing = place in set(chosen)


def measure(core: Computing, longest: int) -> Kept:
    """What backward keeps of a token in sequences of `longest` tokens; random numbers and weights stay as they are."""
    import numpy as np
    import torch

    layers = checkpointable(core.base)
    checkpoint(core.base, [])
    was_training = core.model.training
    core.model.train()
    seen = []
    with torch.random.fork_rng([core.base.device] if core.base.device.type == "cuda" else []):
        for tokens in PROBES:
            with counted(core.model, layers) as sizes:
                core.summed_loss(probe(core, tokens))
            seen.append(sizes)
    core.model.train(was_training)
    squared, linear, _ = np.polyfit(PROBES, np.array(seen, float), 2)
    *by_layer, rest = (linear + squared.clip(0) * longest).tolist()
    return Kept(by_layer, rest, core.base.config.get_text_config().hidden_size * core.base.dtype.itemsize)


def probe(core: Computing, tokens: int) -> Window:
    """A sequence of `tokens` tokens as the core computes it, all of them trained."""
    import numpy as np

    ids = np.arange(tokens) % core.base.config.get_text_config().vocab_size
    return core.step([(ids, np.ones(tokens, bool))])[0]


@contextmanager
def counted(model: Any, layers: Sequence[Any]) -> Iterator[list[int]]:
    """Bytes that are kept for backward in each of `layers`, the last for what is kept elsewhere.

    A storage counts where it is met first; parameters and buffers do not count.
    """
    import torch

    sizes = [0] * (len(layers) + 1)
    met = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    alive = []  # a storage that is freed could give its address to another
    current = len(layers)

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in met:
            met.add(storage.data_ptr())
            alive.append(storage)
            sizes[current] += storage.nbytes()
        return tensor.detach()  # itself, it would hold the graph that holds it

    def enter(place: int) -> Any:
        def before(*_: Any) -> None:
            nonlocal current
            current = place

        return before

    def leave(*_: Any) -> None:
        nonlocal current
        current = len(layers)

    hooks = [layer.register_forward_pre_hook(enter(place)) for place, layer in enumerate(layers)]
    hooks += [layer.register_forward_hook(leave) for layer in layers]
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            yield sizes
    finally:
        for hook in hooks:
            hook.remove()


def to_come(model: Any, training: TrainingSpec) -> int:
    """Bytes of the gradients and the optimizer's state, which are not there before the first step.

    The trainer keeps the 8-bit state of embeddings in float32; on a GPU autocast keeps trained weights in 16 bits too.
    """
    import torch

    card = optimizers.cards()[training.optimizer]
    copy = 2 if model.device.type == "cuda" else 0
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    total = 0.0
    for weight in model.parameters():
        if weight.requires_grad:
            state = 8 if card.package and id(weight) in embeddings else card.state_bytes
            total += weight.numel() * (weight.itemsize + copy + state)
    return int(total)


def free_bytes(device: str) -> int:
    """Memory that is free now: the GPU's, else the machine's as far as this process may have it."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0]) + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    from tunesmith.recipes.machine import cpu

    return cpu.facts().memory_free_bytes
