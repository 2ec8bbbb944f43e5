"""Liger's Triton kernels where they can run: NVIDIA and AMD GPUs. Source: Hsu et al. 2024, arXiv:2410.10989."""

from __future__ import annotations

from importlib.util import find_spec
from types import MethodType
from typing import Any

import torch

from tunesmith.daemon.worker.kernels import rms_norm
from tunesmith.recipes.words import say

Tensor = torch.Tensor


def missing(device: str) -> str:
    """Why they cannot be used; empty when they can."""
    if device != "cuda":
        return say("triton", "Triton kernels are for GPUs; this device is {device}", device=device)
    if find_spec("liger_kernel") and find_spec("triton"):
        return ""
    return say("not_installed", "{package} is not installed", package="liger-kernel")


def fuse_norm(module: Any) -> None:
    from liger_kernel.ops import LigerRMSNormFunction

    offset = rms_norm.gemma_offset(module)
    casting = "gemma" if offset else "llama"

    def fused(self: Any, x: Tensor) -> Any:
        # Not in place: what flows back may be wanted by the residual beside the norm.
        return LigerRMSNormFunction.apply(x, self.weight, rms_norm.epsilon(self), offset, casting, False, None)

    module.forward = MethodType(fused, module)


def rotary(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
    from liger_kernel.ops import LigerRopeFunction

    return LigerRopeFunction.apply(q, k, cos, sin, None, unsqueeze_dim)  # type: ignore[no-any-return]
