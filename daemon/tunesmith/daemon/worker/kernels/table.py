"""The fused parts, a row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tunesmith.daemon.worker.kernels import gated_mlp, liger, linear, lora, rms_norm, rotary


class Kernel(NamedTuple):
    """One way to compute a `part`. `candidates(model)` are the modules it is for.

    `refusal(module)` says why one stays plain (empty: it need not), `fuse(module)` makes it compute itself so and
    returns what undoes that; `missing(device)` says why it cannot be used there (empty: it can).
    """

    part: str
    taken: str
    candidates: Callable[[Any], Iterator[Any]]
    refusal: Callable[[Any], str]
    fuse: Callable[[Any], Callable[[], None]]
    missing: Callable[[str], str] = lambda device: ""

    @property
    def key(self) -> str:
        return f"{self.part}: {self.taken}"


def replacing_forward(fuse: Callable[[Any], None]) -> Callable[[Any], Callable[[], None]]:
    def fused(module: Any) -> Callable[[], None]:
        fuse(module)
        return lambda: vars(module).pop("forward", None)

    return fused


def lora_layers(model: Any) -> Iterator[Any]:
    return (module for module in model.modules() if hasattr(module, "lora_A") and hasattr(module, "base_layer"))


def norms(model: Any) -> Iterator[Any]:
    return (module for module in model.modules() if type(module).__name__.endswith("RMSNorm"))


def gated_mlps(model: Any) -> Iterator[Any]:
    return (module for module in model.modules() if all(hasattr(module, part) for part in gated_mlp.PARTS))


def rotary_homes(model: Any) -> Iterator[Any]:
    found = rotary.home(model)
    return iter(() if found is None else (found,))


def replacing_rotary(function: Callable[..., Any]) -> Callable[[Any], Callable[[], None]]:
    def fused(home: Any) -> Callable[[], None]:
        plain = getattr(home, rotary.NAME)
        setattr(home, rotary.NAME, function)
        return lambda: setattr(home, rotary.NAME, plain)

    return fused


def always(module: Any) -> str:
    return ""


LIGER = "by Liger"
# Of each part the fastest first.
KERNELS = (
    Kernel("lora", "fused", lora_layers, lora.refusal, replacing_forward(lora.fuse)),
    Kernel("linear", "oneDNN", linear.candidates, linear.refusal, replacing_forward(linear.fuse), linear.missing),
    Kernel("gated_mlp", "fused", gated_mlps, gated_mlp.refusal, replacing_forward(gated_mlp.fuse)),
    Kernel("rms_norm", LIGER, norms, rms_norm.refusal, replacing_forward(liger.fuse_norm), liger.missing),
    Kernel("rms_norm", "fused", norms, rms_norm.refusal, replacing_forward(rms_norm.fuse)),
    Kernel("rotary", LIGER, rotary_homes, always, replacing_rotary(liger.rotary), liger.missing),
    Kernel("rotary", "fused", rotary_homes, always, replacing_rotary(rotary.rotary)),
)
