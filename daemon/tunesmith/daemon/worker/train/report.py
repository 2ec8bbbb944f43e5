"""What a trainer says while it trains: one TrainStep a step, and an end to a run that diverges."""

from __future__ import annotations

import math
import time
from typing import Any

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import memory
from tunesmith.daemon.worker.train.limit import measure
from tunesmith.daemon.worker.train.pace import Counts, Pace
from tunesmith.daemon.worker.train.samples import Sampler
from tunesmith.daemon.worker.train.tensorboard import Board
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.words import say

BAD_STEPS = 3  # in a row, then training stops: one may be a freak row, three are a model that is lost


class Divergence:
    """Counts steps whose loss or gradient is not a number."""

    def __init__(self) -> None:
        self.in_a_row = self.total = 0

    def see(self, step: int, loss: float, gradient_norm: float, learning_rate: float) -> None:
        """Raises TunesmithError at the third bad step in a row."""
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.total += 1
        if self.in_a_row >= BAD_STEPS:
            self.refuse(step, learning_rate)

    def refuse(self, step: int, learning_rate: float) -> None:
        raise TunesmithError(
            f"Training diverged: loss or gradient was not a number at step {step} ({self.total} bad steps in all, "
            f"learning rate {learning_rate:.1e})",
            "Lower training.learning_rate to a third, or set training.dtype to float32.",
            "diverged",
        )


def resident_bytes(device: str) -> int:
    """Memory allocated on the GPU, else resident in this process."""
    if device == "cuda":
        import torch

        return int(torch.cuda.memory_allocated())
    import psutil

    return int(psutil.Process().memory_info().rss)


def callbacks(context: Context, device: str, dtype: Any) -> list[Any]:
    """Trainer callbacks that tell `context` how training goes. Measures the machine first, for what it is held to."""
    board = Board(context.job)
    limit = Limit(context, device, dtype)
    return [callback(context, limit, board, Sampler(context)), memory.callback(context, board)]


class Limit:
    """The matrix-product limit of this machine, told whenever it is measured; in floating-point operations a second."""

    def __init__(self, context: Context, device: str, dtype: Any) -> None:
        self.context, self.device, self.dtype = context, device, dtype
        self.rate = 0.0
        self.measure(0.0)

    def measure(self, reached: float) -> None:
        """A machine that was busy when it was measured shows by a step that was faster: the limit is at least that."""
        self.rate = max(measure(self.device, self.dtype), reached)
        name = str(self.dtype).removeprefix("torch.")
        self.context.emit(e.LimitMeasured(time=time.time(), device=self.device, dtype=name, flops_per_second=self.rate))

    def share(self, reached: float) -> float:
        if reached > self.rate:
            self.measure(reached)
        return reached / self.rate


def callback(context: Context, limit: Limit, board: Board, sampler: Sampler) -> Any:
    """A trainer callback that reports steps, and has samples taken between them.

    A function, since its class must inherit from transformers'.

    The trainer logs what it computed since it began (`Counts`).
    """
    from transformers import TrainerCallback

    divergence = Divergence()

    class Report(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to mypy
        last = 0.0
        before = Counts()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.last = time.monotonic()
            self.pace = Pace()
            context.progress(state.global_step, state.max_steps, "steps")

        def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            context.check_cancelled()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            context.check_cancelled()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if not logs or "loss" not in logs:
                return  # the summary at the end
            now = time.monotonic()
            loss, norm = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
            rate = float(logs.get("learning_rate", 0.0))
            sums = Counts.logged(logs)
            counts = sums.since(self.before)
            self.pace.add(now - self.last, counts)
            self.before, self.last = sums, now
            done, total = state.global_step, state.max_steps
            recent = self.pace.counts
            flops = self.pace.per_second(recent.flops)
            step = e.TrainStep(
                time=time.time(),
                step=done,
                total_steps=total,
                epoch=context.spec.training.epochs * done / max(total, 1),
                # JSON has no NaN; -1 is no loss, and the notice says what happened.
                loss=loss if math.isfinite(loss) else -1.0,
                learning_rate=rate,
                gradient_norm=norm if math.isfinite(norm) else -1.0,
                tokens_per_second=self.pace.per_second(recent.tokens),
                memory_bytes=resident_bytes(args.device.type),
                eta_s=self.pace.seconds * (total - done),
                padding_share=recent.padding_share,
                flops_per_second=flops,
                limit_share=limit.share(flops) if flops else None,
                token_accuracy=counts.accuracy,
            )
            self.last = time.monotonic()  # the limit may have been measured again
            context.emit(step)
            board.tell(step)
            bad = divergence.total
            divergence.see(done, loss, norm, rate)
            if divergence.total > bad:
                context.notice(
                    "warning", say("not_a_number", "Step {step}: loss or gradient is not a number.", step=done)
                )
            context.progress(done, total, "steps", say("loss", "loss {loss}", loss=f"{loss:.3f}"))
            if not divergence.in_a_row:
                self.last += sampler.look(done, total, self.pace.seconds)  # no time of the next step

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            board.close()
            if divergence.in_a_row:
                divergence.refuse(state.global_step, args.learning_rate)

    return Report()
