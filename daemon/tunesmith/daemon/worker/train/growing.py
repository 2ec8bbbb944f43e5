"""Training while data is still being prepared: the number of steps becomes known on the way."""

from __future__ import annotations

from typing import Any

from tunesmith.daemon.worker.data.prepare import Prepared


def growing(prepared: Prepared, epochs: int) -> Any:
    """A trainer callback that accounts for the data once all of it is there, and sets the true number of steps.

    Until then trainer and learning-rate schedule go by an upper bound. A function, since its class must inherit from
    transformers'.
    """
    from transformers import TrainerCallback

    class Growing(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to mypy
        def on_step_end(self, args: Any, state: Any, control: Any, lr_scheduler: Any = None, **_: Any) -> None:
            if not prepared.look():
                return
            state.max_steps = prepared.feed.steps(epochs)
            # transformers' schedules are partial functions of the number of steps.
            for schedule in lr_scheduler.lr_lambdas:
                schedule.keywords["num_training_steps"] = state.max_steps

    return Growing()
