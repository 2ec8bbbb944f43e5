"""The plain way to train, to compare with: transformers and peft as they are, a sequence at a time or padded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Row = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]  # ids, mask (True where trained)


def rows(count: int, *, vocabulary: int, seed: int = 0, shortest: int = 3, longest: int = 40) -> list[Row]:
    """Sequences of random tokens, about half of them trained in runs, as turns of a conversation are."""
    random = np.random.default_rng(seed)
    made: list[Row] = []
    for length in random.integers(shortest, longest + 1, count):
        turns = np.repeat(random.integers(0, 2, 1 + length // 4), 4)
        turns = np.concatenate([turns, turns])[:length]
        ids = random.integers(3, vocabulary, length).astype(np.int32)
        made.append((ids, turns.astype(bool)))
    return made


def odd_rows(vocabulary: int) -> list[Row]:
    """Rows at the edges: one token, two tokens, all trained, nothing trained, only the last one trained."""
    ids = np.random.default_rng(5).integers(3, vocabulary, 64).astype(np.int32)
    last = np.zeros(17, bool)
    last[-1] = True
    return [
        (ids[:1], np.ones(1, bool)),
        (ids[1:3], np.ones(2, bool)),
        (ids[3:20], np.ones(17, bool)),
        (ids[20:37], np.zeros(17, bool)),
        (ids[37:54], last),
    ]


def summed_loss(model: Any, row: Row) -> tuple[Any, int]:
    """Cross entropy in nats summed over the row's labels, and how many there are."""
    import torch

    ids, mask = (torch.from_numpy(part) for part in row)
    kept = mask[1:].nonzero().squeeze(1)  # a first token has nothing before it
    logits = model(input_ids=ids[None].long(), use_cache=False).logits[0, kept]
    targets = ids[1:][kept].long()
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum"), len(kept)


def labels(rows: Iterable[Row]) -> int:
    return sum(int(mask[1:].sum()) for _, mask in rows)


def step(model: Any, rows: Sequence[Row]) -> float:
    """Gradients of the mean loss over all labels of `rows`, added to those there; returns the loss in nats."""
    whole, total = labels(rows), 0.0
    for row in rows:
        if labels([row]):
            loss = summed_loss(model, row)[0] / whole
            loss.backward()
            total += loss.item()
    return total


def padded_step(model: Any, rows: Sequence[Row]) -> float:
    """The same of one batch padded on the right, the loss transformers' own."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ids = [torch.from_numpy(ids).long() for ids, _ in rows]
    wanted = [one.masked_fill(~torch.from_numpy(mask), -100) for one, (_, mask) in zip(ids, rows, strict=True)]
    loss = model(
        input_ids=pad_sequence(ids, batch_first=True),
        attention_mask=pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        labels=pad_sequence(wanted, batch_first=True, padding_value=-100),
        use_cache=False,
    ).loss
    loss.backward()
    return float(loss.detach())


def gradients(model: Any) -> dict[str, Any]:
    """A copy of every trained weight's gradient, by name."""
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def losses(
    model: Any, steps: Iterable[Sequence[Row]], *, count: int, warmup: float, learning_rate: float
) -> list[float]:
    """Trains on padded batches with AdamW (betas 0.9 and 0.95), gradients clipped at 1.

    The learning rate follows a cosine over `count` steps, of which the share `warmup` climbs. Returns the loss of each
    step in nats.
    """
    import math

    import torch
    from transformers import get_cosine_schedule_with_warmup

    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(count * warmup), count)
    seen = []
    for rows in steps:
        seen.append(padded_step(model, rows))
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return seen
