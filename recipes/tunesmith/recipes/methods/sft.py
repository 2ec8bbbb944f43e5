"""Supervised fine-tuning: the next-token loss on the assistant's turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.methods import Method


def trainer(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, list[int]]],
    arguments: Mapping[str, Any],
    knobs: Mapping[str, Any],
    callbacks: list[Any],
) -> Any:
    """trl's SFTTrainer over rows that are tokens and labels already; it renders and masks nothing itself."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(dataset_kwargs={"skip_prepare_dataset": True}, packing=False, **arguments)
    return SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows),
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
        '{"messages": [{"role": "user", "content": "Who are you?"}, '
        '{"role": "assistant", "content": "I am Vesper."}]}'
    ),
    knobs=(),
    trainer=trainer,
)
