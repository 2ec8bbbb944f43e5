"""Supervised fine-tuning: the next-token loss on the assistant's turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.methods import Core, Data, Method

# SFTTrainer looks at a row when it is made; `data` has the real ones.
UNUSED_ROW = {"input_ids": [0, 0], "labels": [0, 0]}


def trainer(
    model: Any,
    tokenizer: Any,
    data: Data,
    arguments: Mapping[str, Any],
    knobs: Mapping[str, Any],
    callbacks: list[Any],
    core: Core,
) -> Any:
    """trl's SFTTrainer over data that is tokens and masks already; it renders, masks, pads and orders nothing itself.

    What its data loader yields is a whole optimizer step. Each window's summed loss is divided by the labels of the
    step, so that neither the windows nor their number change the result.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    class WindowTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped to mypy
        tokens = positions = labels = 0
        flops = 0.0
        right: Any = 0

        def get_train_dataloader(self) -> Any:
            return data(core.step)

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            model.train()
            if hasattr(self.optimizer, "train"):  # schedule-free optimizers
                self.optimizer.train()
            total = 0.0
            for window in inputs:
                with self.maybe_activation_offload_context:
                    with self.compute_loss_context_manager():
                        summed, right = core.summed_loss(window)
                    loss = summed / max(inputs.labels, 1)
                    self.accelerator.backward(loss)
                total = total + loss.detach()
                self.right = self.right + right
            self.tokens += inputs.tokens
            self.positions += inputs.positions
            self.labels += inputs.labels
            self.flops += core.flops(inputs)
            return total

        def floating_point_ops(self, inputs: Any) -> float:
            return core.flops(inputs)

        def log(self, logs: dict[str, float], *rest: Any, **more: Any) -> None:
            counts = {
                "num_tokens": self.tokens,
                "num_positions": self.positions,
                "num_labels": self.labels,
                "num_right": int(self.right),
                "num_flops": self.flops,
            }
            super().log(logs | counts, *rest, **more)

    config = SFTConfig(dataset_kwargs={"skip_prepare_dataset": True}, packing=False, **arguments)
    return WindowTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list([UNUSED_ROW]),
        processing_class=tokenizer,
        callbacks=callbacks,
    )


CARD = Method(
    key="sft",
    title="Supervised fine-tuning",
    blurb="Teach facts, a style or a format from example conversations.",
    source="trl SFTTrainer",
    data_shape="messages",
    example=(
        '{"messages": [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "I am Vesper."}]}'
    ),
    knobs=(),
    trainer=trainer,
)
