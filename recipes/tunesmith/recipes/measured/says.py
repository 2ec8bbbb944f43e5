"""What measured figures mean for training, in sentences a person can act on. Pure."""

from __future__ import annotations

import sys

from tunesmith.recipes.measured import Measured, Rate, Tried
from tunesmith.recipes.units import bytes_text, flops_text

LOWER = ("bfloat16", "float16")  # the dtypes that take half of float32's memory
PARTS = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth", 7: "a seventh", 8: "an eighth",
         9: "a ninth", 10: "a tenth"}  # fmt: skip
SAME = 0.1  # rates nearer to each other than this are the same: they vary that much from run to run
CHECKPOINT_BYTES = 1e9  # an example a person can scale
# SmolLM2-135M with LoRA on two AMD cores whose products were twice as fast in bfloat16: 3.2 s a step, 2.2 s in float32.
ON_CPU = (
    "Whole steps were slower where that was measured, so training stays in float32; `training.dtype: bfloat16` halves "
    "the memory of the weights."
)
GPU_ONLY = ("flash_attn", "liger_kernel")


def product(measured: Measured, dtype: str) -> str:
    """`bfloat16 -> '418 GFLOP/s, 2.2 times float32'`; the reason where it could not be measured."""
    rate, full = measured.products[dtype], measured.products["float32"].per_second
    if rate.per_second is None:
        return f"not measured: {rate.why}"
    text = flops_text(rate.per_second)
    return text if dtype == "float32" or not full else f"{text}, {times(rate.per_second / full)} float32"


def times(ratio: float) -> str:
    """`2.16 -> '2.2 times'`, `0.2 -> 'a fifth of'`, `0.0125 -> '1/80 of'`, `1.05 -> 'as fast as'`."""
    if abs(ratio - 1) <= SAME:
        return "as fast as"
    if ratio > 1:
        return f"{ratio:.1f} times"
    if ratio > 0.7:  # nearer to the whole than to half of it
        return f"{ratio:.1f} of"
    part = round(1 / ratio)
    return f"{PARTS.get(part, f'1/{part}')} of"


def dtypes(measured: Measured) -> str:
    """Which dtype the figures speak for; empty when there is nothing to compare."""
    full, half = (measured.products[dtype].per_second for dtype in ("float32", "bfloat16"))
    if not full or not half:
        return ""
    ratio = half / full
    if ratio < 1 - SAME:
        return f"bfloat16 runs at {times(ratio)} float32's speed here: float32 it is, where it fits."
    if ratio <= 1 + SAME:
        return "bfloat16 is as fast as float32 here, in half of the memory."
    faster = f"Products in bfloat16 run at {times(ratio)} float32's speed here"
    return f"{faster}, in half of the memory; training uses it." if measured.device == "cuda" else f"{faster}. {ON_CPU}"


def memory(rate: Rate) -> str:
    if rate.per_second is None:
        return f"not measured: {rate.why}"
    return f"{bytes_text(rate.per_second)}/s read and written: what optimizer, norms and reading weights are bound by"


def disk(rate: Rate) -> str:
    if rate.per_second is None:
        return f"not measured: {rate.why}"
    seconds = CHECKPOINT_BYTES / rate.per_second
    return f"{bytes_text(rate.per_second)}/s until it is safe: a checkpoint of 1 GB takes {seconds:.2g} s"


def library(tried: Tried) -> str:
    if tried.works:
        return f"works: a small step took {tried.seconds:.1f} s"
    return f"not used: {tried.why}" if tried.missing else f"does not work: {tried.why}"


def library_fix(name: str, tried: Tried, device: str) -> str:
    """The command that makes it work; empty when it works, and where nothing is missing: its kernels are for GPUs."""
    if tried.works or (name in GPU_ONLY and device != "cuda"):
        return ""
    pip = f"{sys.executable} -m pip install"
    return {
        "bitsandbytes": "./install.sh; without it: quantization none and an optimizer in 32 bits",
        "flash_attn": f"{pip} flash-attn --no-build-isolation (optional: torch's own attention is used)",
        "liger_kernel": f"{pip} liger-kernel (optional: our own kernels are used)",
        "torch.compile": f"{f'{pip} triton; ' if device == 'cuda' else ''}Ubuntu: sudo apt install build-essential; "
        "macOS: xcode-select --install (optional)",
    }[name]
