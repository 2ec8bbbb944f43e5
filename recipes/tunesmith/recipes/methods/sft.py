"""Supervised fine-tuning: the next-token loss on the assistant's turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.methods import Data, Method

# SFTTrainer looks at a row when it is made; `data` has the real ones.
UNUSED_ROW = {"input_ids": [0, 0], "labels": [0, 0]}
IGNORED = -100  # labels that torch's cross entropy leaves out


def trainer(
    model: Any,
    tokenizer: Any,
    data: Data,
    arguments: Mapping[str, Any],
    knobs: Mapping[str, Any],
    callbacks: list[Any],
) -> Any:
    """trl's SFTTrainer over data that is tokens and labels already; it renders, masks and orders nothing itself.

    Logits are computed only where some row of the batch has a label: the vocabulary is the widest layer, and most
    positions are prompt or padding.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    class LabelledPositionsTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped to mypy
        tokens_seen = 0  # without padding

        def get_train_dataloader(self) -> Any:
            return data(self.data_collator)

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            self.tokens_seen += int(inputs["attention_mask"].sum())
            loss, outputs = labelled_loss(model, inputs, num_items_in_batch)
            return (loss, outputs) if return_outputs else loss

        def log(self, logs: dict[str, float], *rest: Any, **more: Any) -> None:
            super().log(logs | {"num_tokens": self.tokens_seen}, *rest, **more)

    config = SFTConfig(dataset_kwargs={"skip_prepare_dataset": True}, packing=False, **arguments)
    return LabelledPositionsTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list([UNUSED_ROW]),
        processing_class=tokenizer,
        callbacks=callbacks,
    )


def labelled_loss(model: Any, inputs: dict[str, Any], labels_in_step: Any = None) -> tuple[Any, Any]:
    """Cross entropy in nats over the labelled tokens, and the model's outputs (logits of the kept positions only).

    `input_ids`, `attention_mask`, `labels` are (rows, length). The sum is divided by `labels_in_step` where given
    (all labels of an accumulated step), else by the labels of this batch.
    """
    import torch

    wanted = inputs["labels"][:, 1:]  # the token after each position
    kept = (wanted != IGNORED).any(dim=0).nonzero().squeeze(1)
    outputs = model(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False, logits_to_keep=kept
    )
    wanted = wanted[:, kept]
    chosen = wanted != IGNORED
    summed = torch.nn.functional.cross_entropy(outputs.logits[chosen].float(), wanted[chosen], reduction="sum")
    return summed / (chosen.sum() if labels_in_step is None else labels_in_step), outputs


CARD = Method(
    key="sft",
    title="Supervised fine-tuning",
    blurb="Teach facts, a style or a format from example conversations.",
    source="trl SFTTrainer",
    data_shape="messages",
    example=(
        '{"messages": [{"role": "user", "content": "Who are you?"}, '
        '{"role": "assistant", "content": "I am Vesper."}]}'
    ),
    knobs=(),
    trainer=trainer,
)
