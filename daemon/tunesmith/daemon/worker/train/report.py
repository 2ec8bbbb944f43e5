"""What a trainer says while it trains: one TrainStep a step, and an end to a run that diverges."""

from __future__ import annotations

import math
import time
from typing import Any

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes.errors import TunesmithError

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


def callback(context: Context) -> Any:
    """A trainer callback that reports to `context`. A function, since its class must inherit from transformers'."""
    from transformers import TrainerCallback

    divergence = Divergence()

    class Report(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to mypy
        started = last = 0.0
        tokens = 0.0
        rate = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.started = self.last = time.monotonic()
            context.progress(0, state.max_steps, "steps")

        def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            context.check_cancelled()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            context.check_cancelled()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if not logs or "loss" not in logs:
                return  # the summary at the end
            now = time.monotonic()
            loss, norm = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
            tokens = float(logs.get("num_tokens", self.tokens))
            self.rate = (tokens - self.tokens) / max(now - self.last, 1e-9)
            done, total = state.global_step, state.max_steps
            eta = (now - self.started) / done * (total - done)
            context.emit(
                e.TrainStep(
                    time=time.time(),
                    step=done,
                    total_steps=total,
                    epoch=float(state.epoch or 0),
                    # JSON has no NaN; -1 is no loss, and the notice says what happened.
                    loss=loss if math.isfinite(loss) else -1.0,
                    learning_rate=float(logs.get("learning_rate", 0.0)),
                    gradient_norm=norm if math.isfinite(norm) else -1.0,
                    tokens_per_second=self.rate,
                    memory_bytes=resident_bytes(args.device.type),
                    eta_s=eta,
                )
            )
            self.tokens, self.last = tokens, now
            bad = divergence.total
            divergence.see(done, loss, norm, float(logs.get("learning_rate", 0.0)))
            if divergence.total > bad:
                context.notice("warning", f"Step {done}: loss or gradient is not a number.")
            context.progress(done, total, "steps", f"loss {loss:.3f}")

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if divergence.in_a_row:
                divergence.refuse(state.global_step, args.learning_rate)

    return Report()
