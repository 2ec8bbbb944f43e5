"""Where a training run's memory goes, by component: counted from the tensors that are really there."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import resident
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train.tensorboard import Board

MEASURED_STEP = 2  # of this attempt: the first one whose optimizer has its state from the start


class Kept:
    """Bytes that backward keeps at once: now and at most. Views of one storage count once."""

    def __init__(self, apart: Iterable[Any]) -> None:
        self.apart = {tensor.untyped_storage().data_ptr() for tensor in apart}
        self.now = self.most = 0
        self._holders: dict[int, int] = {}

    def add(self, storage: Any) -> int:
        """Count `storage` once more; returns its address."""
        address = int(storage.data_ptr())
        if address not in self.apart:
            holders = self._holders.get(address, 0)
            self._holders[address] = holders + 1
            if not holders:
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
        return address

    def drop(self, address: int, size: int) -> None:
        if address not in self._holders:
            return
        self._holders[address] -= 1
        if not self._holders[address]:
            del self._holders[address]
            self.now -= size


class Holder:
    """A tensor kept for backward; when autograd lets go of it, it is counted no more."""

    def __init__(self, tensor: Any, kept: Kept) -> None:
        self.tensor, self.kept = tensor.detach(), kept  # the tensor itself would hold the graph that holds it
        self.size = int(tensor.untyped_storage().nbytes())
        self.address = kept.add(tensor.untyped_storage())

    def __del__(self) -> None:
        self.kept.drop(self.address, self.size)


@contextmanager
def kept_for_backward(model: Any) -> Iterator[Kept]:
    """Counts what autograd keeps meanwhile, parameters and buffers not; the inputs of checkpointed layers too."""
    import torch
    from transformers.modeling_layers import GradientCheckpointingLayer

    kept = Kept([*model.parameters(), *model.buffers()])

    def inputs(module: Any, arguments: tuple[Any, ...]) -> None:
        if arguments and isinstance(arguments[0], torch.Tensor) and module.training:
            storage = arguments[0].untyped_storage()
            address = kept.add(storage)
            weakref.finalize(arguments[0], kept.drop, address, storage.nbytes())

    # Checkpointing holds a layer's input without asking autograd.
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    hooks = [layer.register_forward_pre_hook(inputs) for layer in layers if layer.gradient_checkpointing]
    try:
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: Holder(tensor, kept), lambda held: held.tensor):
            yield kept
    finally:
        for hook in hooks:
            hook.remove()


def total(tensors: Iterable[Any]) -> int:
    """Bytes of all storages behind `tensors`, each once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def weights(model: Any) -> tuple[list[Any], list[Any]]:
    """Tensors of the base and of the adapter: the trained ones where others are frozen."""
    frozen: list[Any] = list(model.buffers())
    trained: list[Any] = []
    for parameter in model.parameters():
        (trained if parameter.requires_grad else frozen).append(parameter)
        frozen += tensors_in(getattr(parameter, "quant_state", None))
    if all(parameter.requires_grad for parameter in model.parameters()):
        return frozen + trained, []
    return frozen, trained


def tensors_in(value: Any) -> list[Any]:
    """The tensors in (nested) dicts, lists and bitsandbytes' quantization states."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for inner in value.values() for tensor in tensors_in(inner)]
    if isinstance(value, list | tuple):
        return [tensor for inner in value for tensor in tensors_in(inner)]
    if type(value).__name__ == "QuantState":
        return tensors_in(vars(value))
    return []


def peak(device: str) -> int:
    """Most bytes so far: allocated on the GPU, else resident in this process."""
    import torch

    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if device == "mps":
        return int(torch.mps.driver_allocated_memory())  # there is no high-water mark
    return resident.peak()


def callback(context: Context, board: Board) -> Any:
    """A trainer callback that tells where memory goes, once. A function, since it must inherit from transformers'."""
    from transformers import TrainerCallback

    class Memory(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to mypy
        steps = 0
        counting: Any = None

        def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self.steps += 1
            if self.steps == MEASURED_STEP:
                self.counting = kept_for_backward(model)
                self.kept = self.counting.__enter__()

        def on_pre_optimizer_step(
            self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **_: Any
        ) -> None:
            if self.counting is None:
                return
            self.counting.__exit__(None, None, None)
            self.counting = None
            base, adapter = weights(model)
            parts = {
                "weights": total(base),
                "adapter": total(adapter),
                "gradients": total(p.grad for p in model.parameters() if p.grad is not None),
                "optimizer": total(tensors_in(list(optimizer.state.values()))),
                "activations": self.kept.most,
            }
            most = peak(args.device.type)
            # Pages of a mapped file that were never touched are in the weights and not in the peak.
            other = max(0, most - sum(parts.values()))
            step = state.global_step + 1
            measured = e.MemoryMeasured(time=time.time(), step=step, other=other, peak=most, **parts)
            context.emit(measured)
            board.tell(measured)

    return Memory()
