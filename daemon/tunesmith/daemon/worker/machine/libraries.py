"""Which libraries really work here: each takes one small step forward and back, whose numbers are looked at."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from tunesmith.recipes.measured import Tried

COMPILE_WITHIN_S = 40.0  # measured 10 to 15 s on two cores; longer means that something is stuck
NF4_ERROR = 0.15  # of a product with normally distributed weights, relative; measured 0.09


class Unsuited(Exception):
    """What is missing for a try: a package, a compiler, another device. Said in a sentence, without a traceback."""


def said(error: BaseException) -> str:
    """The first line of what an error says, short enough to be shown."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def attempt(library: str, device: str) -> Tried:
    """Never raises: how `library` fails is the answer."""
    began = time.perf_counter()
    works, why, missing = False, "", False
    try:
        TRIES[library](device)
        works = True
    except Unsuited as reason:
        why, missing = str(reason), True
    except Exception as error:  # noqa: BLE001 - kernels fail in any way, and each way is an answer
        why = f"{type(error).__name__}: {said(error)}"
    return Tried(works, why, round(time.perf_counter() - began, 2), missing)


def bitsandbytes(device: str) -> None:
    """A linear layer in nf4: its product is near that of the weights it was made from, and a gradient comes back."""
    import torch

    needs("bitsandbytes")
    from bitsandbytes.nn import Linear4bit  # type: ignore[attr-defined]

    kind = torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported(False) else torch.float32
    torch.manual_seed(0)
    layer: Any = Linear4bit(256, 256, bias=False, compute_dtype=kind, quant_type="nf4")  # type: ignore[no-untyped-call]
    weight = layer.weight.data.clone().to(device)
    layer = layer.to(device)
    x = torch.randn(32, 256, dtype=kind, device=device, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    near(y, x @ weight.to(kind).t(), NF4_ERROR)
    near(x.grad, weight.to(kind).sum(0).expand_as(x), NF4_ERROR)


def flash_attn(device: str) -> None:
    import torch

    for_gpus("flash-attn", device)
    needs("flash_attn")
    from flash_attn import flash_attn_func

    q, k, v = (torch.randn(1, 64, 2, 64, dtype=torch.float16, device=device, requires_grad=True) for _ in range(3))
    y = flash_attn_func(q, k, v, causal=True)
    y.sum().backward()
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    near(y, torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2), 0.02)


def liger_kernel(device: str) -> None:
    import torch

    for_gpus("liger-kernel", device)
    needs("liger_kernel")
    from liger_kernel.ops import LigerRMSNormFunction

    x = torch.randn(8, 64, device=device, requires_grad=True)
    weight = torch.ones(64, device=device, requires_grad=True)
    y = LigerRMSNormFunction.apply(x, weight, 1e-6, 0.0, "llama", False, None)
    y.sum().backward()
    near(y, torch.nn.functional.rms_norm(x, (64,), weight, 1e-6), 0.01)


def compiled(device: str) -> None:
    """In a process of its own: compiling may take for ever, and a process can be ended."""
    compiler = os.environ.get("CXX") or "g++"  # what torch's own code generator starts
    if device == "cpu" and not (shutil.which(compiler) or shutil.which("clang++")):
        raise Unsuited(f"there is no C++ compiler ({compiler}) on PATH")
    if device == "cuda":
        needs("triton")
    command = [sys.executable, "-m", "tunesmith.daemon.worker.machine", "--compile", device]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        # One thread, so that torch starts no pool of compiling processes; an empty cache, so that it does compile.
        settings = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": folder}
        process = subprocess.Popen(
            command, env=os.environ | settings, stdin=subprocess.DEVNULL, stderr=errors, start_new_session=True
        )
        try:
            code = process.wait(COMPILE_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"a small step was not compiled within {COMPILE_WITHIN_S:.0f} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the compiler it started, too
                process.wait()
        if code:
            errors.seek(0)
            lines = [line for line in errors.read().decode("utf-8", "replace").splitlines() if ": " in line]
            raise RuntimeError(next((line.strip() for line in lines if "Error: " in line), f"it ended with {code}"))


def compile_here(device: str) -> None:
    """Compile a small step, forward and back, and compare it with the same step as it is. Raises what goes wrong."""
    import torch

    def step(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.silu(x @ weight).square().mean()

    gradients = []
    for act in (step, torch.compile(step, fullgraph=True)):
        torch.manual_seed(0)
        x = torch.randn(8, 32, device=device)
        weight = torch.randn(32, 16, device=device, requires_grad=True)
        act(x, weight).backward()  # type: ignore[no-untyped-call]
        gradients.append(weight.grad)
    near(gradients[1], gradients[0], 0.01)


def near(found: object, expected: object, error: float) -> None:
    """Raises ArithmeticError when the relative difference is above `error`, or not a number."""
    import torch

    assert isinstance(found, torch.Tensor) and isinstance(expected, torch.Tensor)
    difference = float((found.detach().float() - expected.detach().float()).norm() / expected.detach().float().norm())
    if not difference <= error:
        raise ArithmeticError(f"its numbers are wrong: {difference:.2g} off, {error:.2g} allowed")


def needs(package: str) -> None:
    if find_spec(package) is None:
        raise Unsuited(f"{package} is not installed")


def for_gpus(name: str, device: str) -> None:
    if device != "cuda":
        raise Unsuited(f"{name} has kernels for NVIDIA and AMD GPUs; training runs on {device} here")


TRIES: Mapping[str, Callable[[str], None]] = {
    "bitsandbytes": bitsandbytes,
    "flash_attn": flash_attn,
    "liger_kernel": liger_kernel,
    "torch.compile": compiled,
}
