"""The evaluate stage: held-out loss, general perplexity and answers, of the base (adapter off) and the tuned model."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import gate, scores
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.grade import grade
from tunesmith.daemon.worker.prompts import text_of
from tunesmith.daemon.worker.subjects import SUBJECTS, subject_model
from tunesmith.recipes.data.examine import loaded
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.data.rendering.render import render
from tunesmith.recipes.data.rendering.tokenizer import Tokenizer
from tunesmith.recipes.data.rows import Part, Rendered
from tunesmith.recipes.planner.computed import EVALUATED_ROWS
from tunesmith.recipes.starter import starter_rows
from tunesmith.recipes.words import of_subject


def run(context: Context) -> None:
    evaluation, prepared = context.spec.evaluation, context.prepared
    tokenizer = loaded(str(prepared.model))
    asked = [("held_out", index, row) for index, row in enumerate(prepared.questions[: evaluation.answers])]
    general: list[Rendered] = []
    if evaluation.general:
        found = starter_rows("general", context.spec.data.persona)
        general = [general_row(row, tokenizer) for row in found]
        graded = [question(row) for row in found if "accept" in row]
        asked += [("general", index, row) for index, row in enumerate(graded)]
    total = 2 * (len(prepared.scored) + len(general) + len(asked))
    done = 0
    said: dict[str, list[str]] = {}  # on the held-out questions

    def step(rows: int, note: str) -> None:
        nonlocal done
        done += rows
        context.progress(done, max(total, 1), "rows", note)

    for subject in SUBJECTS:
        step(0, of_subject(subject))
        with subject_model(context, subject) as model:
            core = context.core if model is context.model else context.core.beside(model)
            losses = []
            for rows in (prepared.scored, general):
                loss, tokens = 0.0, 0
                for batch in batches(rows):
                    added, counted = summed_loss(core, batch)
                    loss, tokens = loss + added, tokens + counted
                    step(len(batch), of_subject(subject))
                losses.append(loss / tokens if tokens else None)
            by_loss = scored(subject, losses[0], losses[1])
            context.emit(by_loss)
            scores.remember(
                context,
                subject,
                loss=by_loss.held_out_loss,
                perplexity=by_loss.held_out_perplexity,
                general_perplexity=by_loss.general_perplexity,
            )
            marks: list[bool] = []
            for questions in batches(asked):
                texts = answers(context, model, [row for _, _, row in questions])
                for (set_name, index, row), (text, stopped) in zip(questions, texts, strict=True):
                    mark = grade(text, row)
                    if set_name == "held_out":
                        said.setdefault(subject, []).append(text)
                        marks += [] if mark is None else [mark]
                    context.emit(
                        e.Answered(
                            time=time.time(),
                            subject=subject,
                            row=index,
                            question=row.question,
                            answer=text,
                            expected=row.answer,
                            correct=mark,
                            stopped=stopped,
                            set_name=set_name,
                        )
                    )
                step(len(questions), of_subject(subject))
            scores.remember(context, subject, correct=sum(marks) / len(marks) if marks else None)
    with gate.keeping(context):
        scores.measure(context, prepared.questions[: evaluation.answers], said)


def scored(subject: str, held_out_loss: float | None, general_loss: float | None) -> e.Scored:
    return e.Scored(
        time=time.time(),
        subject=subject,
        held_out_loss=held_out_loss,
        held_out_perplexity=perplexity(held_out_loss),
        general_perplexity=perplexity(general_loss),
    )


def perplexity(loss: float | None) -> float | None:
    """Of a mean loss a token, in nats; past what a float holds it is the largest float."""
    return None if loss is None else math.exp(min(loss, 700.0))


def batches(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), EVALUATED_ROWS):
        yield rows[start : start + EVALUATED_ROWS]


def general_row(row: dict[str, Any], tokenizer: Tokenizer) -> Rendered:
    """A plain text counts whole, a question only in its answer. Raises BadRow when the template refuses it."""
    import numpy as np

    if "text" not in row:
        return render(Part("conversation", question(row).conversation()), None, tokenizer)
    ids = tokenizer.encode(row["text"]).ids
    return Rendered(row["text"], ids, np.arange(len(ids)) > 0)  # nothing comes before the first token to tell it from


def question(row: dict[str, Any]) -> HeldOutRow:
    return HeldOutRow(row["messages"], row["answer"], tuple(row.get("accept", ())), tuple(row.get("reject", ())))


def summed_loss(core: Any, rows: list[Rendered]) -> tuple[float, int]:
    """The loss in nats summed over the labelled tokens of `rows`, and how many those are."""
    import torch

    step = core.step([(row.ids, row.trained) for row in rows])
    with torch.inference_mode():
        return sum(float(core.summed_loss(window)[0]) for window in step), step.labels


def answers(
    context: Context, model: Any, rows: list[HeldOutRow], *, most_tokens: int | None = None, most_s: float | None = None
) -> list[tuple[str, bool]]:
    """Greedy answers to all of `rows` at once, padded on the left so that they begin together.

    Each comes with whether the model ended it itself. They end at the recipe's max_new_tokens, or at `most_tokens`.
    With `most_s` they end after so many seconds too, and as soon as anybody wants training to end.
    """
    import torch
    from transformers import GenerationConfig, StoppingCriteria

    until = None if most_s is None else time.monotonic() + most_s

    class Cancel(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped to mypy
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            context.check_cancelled()
            over = until is not None and (time.monotonic() > until or context.cancelled or context.keeping)
            return torch.full((input_ids.shape[0],), over, dtype=torch.bool, device=input_ids.device)

    tokenizer = context.tokenizer
    prompts = [text_of(row.messages, tokenizer, prompt=True) for row in rows]
    encoded = tokenizer(prompts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt")
    own = model.generation_config
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=most_tokens or context.spec.evaluation.max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id,
        bos_token_id=own.bos_token_id,
    )
    # Not inference mode: what a model keeps from one call to the next, training may need after a sample.
    with torch.no_grad():
        output = model.generate(
            input_ids=encoded["input_ids"].to(model.device),
            attention_mask=encoded["attention_mask"].to(model.device),
            generation_config=settings,
            stopping_criteria=[Cancel()],
        )
    begun = encoded["input_ids"].shape[1]
    written = output[:, begun:].cpu()
    texts = tokenizer.batch_decode(written, skip_special_tokens=True)
    ends = torch.tensor(settings.eos_token_id).reshape(-1)
    stopped = torch.isin(written, ends).any(dim=1).tolist()
    return [(text.strip(), stop) for text, stop in zip(texts, stopped, strict=True)]
