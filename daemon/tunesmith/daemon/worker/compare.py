"""How far apart two models' next-token distributions are, over a few hundred positions."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

POSITIONS = 320  # compared at most; 200 are asked for, and more only take time
WORST = sys.float_info.max  # for what is no number; JSON has neither NaN nor infinity
AT_ONCE = 16  # positions; in float64 and several times over, a vocabulary of 150,000 takes 80 MB
LONGEST_PASSAGE = 512  # tokens; keeps the array of logits (positions x vocabulary, 4 bytes) near 100 MB

# For what the tuning data is not about, and for every kind of text that tokenizers cut differently.
GENERAL_TEXT = """\
The river had been rising since Tuesday. By 6:45 on Thursday morning it stood 3.2 metres above its usual level, and the
people of the lower town began to carry their furniture upstairs. "It won't reach us," said the baker, who had seen the
floods of 1954 and 1987; but he, too, took the flour off the floor. At noon the rain stopped. Children came out to look
at the brown water, which carried branches, a blue door, and once a hen-house with two indignant hens on its roof.

Water boils at 100 °C at sea level, because there its vapour pressure equals that of the air; on a mountain of 3,000 m
it boils at about 90 °C. The speed of light is 299,792,458 metres a second. Plants take in carbon dioxide and give off
oxygen. The Earth needs 365.25 days for one turn around the Sun, which is why every fourth year has a day more.

def mean(values: list[float]) -> float:
    if not values:
        raise ValueError("no values")
    return sum(values) / len(values)

| city   | people    |
|--------|-----------|
| Lyon   |   522,250 |
| Zürich |   447,082 |

Es war einmal ein König. L'été dernier, nous étions à la mer. 今天天气很好，我们去公园散步。 Привет, мир! 🙂👍
"""


class Scores(msgspec.Struct, frozen=True):
    """`kl_divergence` of the artifact from the merged model, in nats a token; agreement from 0 to 1.

    `perplexity` of the texts is the artifact's, `expected_perplexity` the merged model's; infinite ones are None.
    """

    kl_divergence: float
    top1_agreement: float
    tokens_compared: int
    perplexity: float | None = None
    expected_perplexity: float | None = None


def passages(texts: list[list[int]]) -> list[list[int]]:
    """The first of `texts` (token ids) and the last, which together give at most POSITIONS positions to compare.

    The last is the general text; the others leave half of the positions to it.
    """
    chosen: list[list[int]] = []
    room = POSITIONS // 2
    for index, ids in enumerate(texts):
        room += POSITIONS // 2 if index == len(texts) - 1 else 0
        kept = ids[:LONGEST_PASSAGE]
        kept = kept[: shared(kept, chosen) + room]
        fresh = len(kept) - shared(kept, chosen)
        if fresh > 0:
            chosen.append(kept)
            room -= fresh
    return chosen


def shared(ids: list[int], earlier: list[list[int]]) -> int:
    """How many tokens `ids` begins with that one of `earlier` begins with too: such positions count once."""
    longest = 0
    for other in earlier:
        same = 0
        while same < min(len(ids), len(other)) and ids[same] == other[same]:
            same += 1
        longest = max(longest, same)
    return longest


def compare(reference: list[Any], found: Iterable[Any], texts: list[list[int]]) -> Scores:
    """KL(reference || found) and top-1 agreement over the positions of `texts` that no earlier one shares."""
    import torch

    divergence, agreed, compared, told = 0.0, 0, 0, 0
    losses = [0.0, 0.0]
    for index, (expected, logits) in enumerate(zip(reference, found, strict=True)):
        start = shared(texts[index], texts[:index])
        expected, logits = expected[start:], torch.as_tensor(logits[start:])
        if expected.shape != logits.shape:  # another vocabulary
            return Scores(WORST, 0.0, len(expected))
        following = torch.as_tensor(texts[index][start + 1 :])
        told += len(following)
        for begun in range(0, len(expected), AT_ONCE):
            ours = expected[begun : begun + AT_ONCE].double().log_softmax(-1)
            theirs = logits[begun : begun + AT_ONCE].double().log_softmax(-1)
            ids = following[begun : begun + AT_ONCE, None]
            for place, found_there in enumerate((theirs, ours)):
                losses[place] -= float(found_there[: len(ids)].gather(1, ids).sum())
            divergence += float((ours.exp() * (ours - theirs)).sum())
            agreed += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        compared += len(expected)
    mean = divergence / compared
    perplexities = [math.exp(min(loss / told, 700.0)) if told and math.isfinite(loss) else None for loss in losses]
    return Scores(mean if math.isfinite(mean) else WORST, agreed / compared, compared, *perplexities)


def merged_logits(model: Any, ids: list[int]) -> Any:
    """Float32 logits (position, vocabulary) of a transformers model."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids], device=model.device)).logits[0].float().cpu()


def merged_answers(model: Any, tokenizer: Any, prompts: list[str], max_tokens: int) -> list[str]:
    """Greedy answers of a transformers model, all at once, padded on the left so that they begin together."""
    import torch
    from transformers import GenerationConfig

    encoded = tokenizer(prompts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt")
    own = model.generation_config
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id,
    )
    with torch.inference_mode():
        output = model.generate(
            input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], generation_config=settings
        )
    begun = encoded["input_ids"].shape[1]
    return [text.strip() for text in tokenizer.batch_decode(output[:, begun:], skip_special_tokens=True)]
