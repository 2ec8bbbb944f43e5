"""The proof that a fast path computes what the plain model does: loss and gradients on short sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunesmith.daemon.worker.packing.windows import Row, padded
from tunesmith.recipes.words import say

if TYPE_CHECKING:
    from tunesmith.daemon.worker.train.core import Core

LENGTHS = (23, 14, 12)  # the last two are alike: packed attention pads one of them
SEED = 20_260
STIR = 0.02
MOST_GRADIENTS = 1 << 26  # numbers that are compared; the smallest tensors first, so norms and adapters always are
# Largest difference of the loss (relative to 1 + loss) and of the gradients (norm of the difference over the norm).
LIMITS = {torch.float32: (1e-5, 1e-3)}
NARROW_LIMITS = (2e-2, 1e-1)
# What model code raises when it is asked for something it does not know.
REFUSALS = (NotImplementedError, RuntimeError, TypeError, ValueError, AttributeError, LookupError)


class Reference:
    """What the plain model makes of the rows: `loss` in nats a label, `gradients` of `weights`."""

    def __init__(self, rows: list[Row], loss: float, weights: list[Any], gradients: list[Any], dtype: Any) -> None:
        self.rows, self.loss, self.weights, self.gradients, self.dtype = rows, loss, weights, gradients, dtype

    @property
    def limits(self) -> tuple[float, float]:
        return LIMITS.get(self.dtype, NARROW_LIMITS)

    def text(self) -> str:
        loss, gradients = self.limits
        english = "loss within {loss}, gradients within {gradients}"
        return say("proven_within", english, loss=f"{loss:.0e}", gradients=f"{gradients:.0e}")


def reference(core: Core) -> Reference:
    """By the model's own forward, padded, as it was loaded: nothing of ours is in it yet."""
    config = core.base.config.get_text_config()
    random = np.random.default_rng(SEED)
    rows = [
        (random.integers(0, config.vocab_size, length).astype(np.int32), np.ones(length, bool)) for length in LENGTHS
    ]
    trained = sorted((w for w in core.model.parameters() if w.requires_grad), key=lambda weight: weight.numel())
    weights: list[Any] = []
    numbers = 0
    for weight in trained:
        numbers += weight.numel()
        if weights and numbers > MOST_GRADIENTS:
            break
        weights.append(weight)
    dtype = next((p.dtype for p in core.base.parameters() if p.dtype in (torch.bfloat16, torch.float16)), torch.float32)
    window = padded(rows, sum(LENGTHS) * 2, core.pad)[0].to(core.device)
    with probing(core.model):
        outputs = core.base(input_ids=window.input_ids, attention_mask=window.attention_mask, use_cache=False)
        chosen = outputs.logits.reshape(-1, outputs.logits.shape[-1])[window.kept]
        loss = torch.nn.functional.cross_entropy(chosen.float(), window.targets)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return Reference(rows, float(loss.detach()), weights, list(gradients), dtype)


def differs(core: Core, plain: Reference) -> str:
    """Why `core` does not compute what the plain model does; empty when it does. CannotPack goes on to the caller."""
    step = core.step(plain.rows)
    loss, gradients = 0.0, [None] * len(plain.weights)
    try:
        with probing(core.model):
            for window in step:
                summed, _ = core.summed_loss(window)
                part = summed / step.labels
                loss += float(part.detach())
                found = torch.autograd.grad(part, plain.weights, allow_unused=True)
                gradients = [_sum(one, two) for one, two in zip(gradients, found, strict=True)]
    except REFUSALS as error:
        return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    most, most_gradients = plain.limits
    if not abs(loss - plain.loss) <= most * (1 + abs(plain.loss)):
        english = "its loss was {loss}, the plain model's {plain}"
        return say("other_loss", english, loss=f"{loss:.6f}", plain=f"{plain.loss:.6f}")
    off, size = 0.0, 0.0
    for ours, theirs in zip(gradients, plain.gradients, strict=True):
        if ours is None and theirs is None:
            continue
        one = torch.zeros(()) if ours is None else ours.float()
        two = torch.zeros(()) if theirs is None else theirs.float()
        off += float((one.to(two.device) - two).square().sum())
        size += float(two.square().sum())
    if not off**0.5 <= most_gradients * size**0.5:
        share = (off / max(size, 1e-30)) ** 0.5
        return say("other_gradients", "its gradients were off by {share} of the plain model's", share=f"{share:.1e}")
    return ""


def _sum(one: Any, two: Any) -> Any:
    return two if one is None else one if two is None else one + two


class probing:
    """The model for a while without dropout, trained weights that are all zero moved off it.

    A new adapter's B is zero: nothing that goes through it would be seen.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.zeros = [weight for weight in model.parameters() if weight.requires_grad and not weight.any()]

    def __enter__(self) -> None:
        self.trained = self.model.training
        self.model.eval()
        # Its own generator: the run's random numbers stay what the seed says.
        random = torch.Generator().manual_seed(SEED)
        with torch.no_grad():
            for weight in self.zeros:
                weight.copy_(STIR * torch.randn(weight.shape, generator=random))

    def __exit__(self, *_: object) -> None:
        self.model.train(self.trained)
        with torch.no_grad():
            for weight in self.zeros:
                weight.zero_()
