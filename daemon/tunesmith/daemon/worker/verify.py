"""The verify stage: every export that has a runtime of its own is loaded there and compared with the merged model.

Compared are the chat prompt (byte for byte), the token ids, the next-token distributions (KL divergence, top-1
agreement) and greedy answers. What differs by more than the card allows fails the stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import export, load, processor, seeing
from tunesmith.daemon.worker.compare import GENERAL_TEXT, WORST, compare, merged_answers, merged_logits, passages
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.grade import grade
from tunesmith.daemon.worker.llama import LONGEST_CONTEXT, Engine
from tunesmith.daemon.worker.prompts import text_of
from tunesmith.daemon.worker.reloaded import Folder
from tunesmith.daemon.worker.runtimes import Opened, runtime
from tunesmith.recipes import exports
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.data.rows import Message
from tunesmith.recipes.errors import ModelError, VerificationError
from tunesmith.recipes.spec import WRITING
from tunesmith.recipes.words import meaning, of_error, reasons, say

GRADED = "gguf:q8_0"  # the one most people will run; all held-out questions are put to it
SIDE_BY_SIDE = (HeldOutRow([{"role": "user", "content": "What is the capital of France?"}], "Paris"),)
SIDE_BY_SIDE_HELD_OUT = 2
REFERRING = 3  # steps of progress that asking the merged model is worth
SEVERAL_TURNS: list[Message] = [
    {"role": "user", "content": "Hello, what is 12 + 30?  "},
    {"role": "assistant", "content": "42 – naïvely 四十二 🙂"},
    {"role": "user", "content": "\n\tThanks;\n\nand now in words?"},
]


class Reference(msgspec.Struct, frozen=True):
    """What the merged model says, computed once for all targets."""

    tokenizer: Any
    passages: list[list[int]]
    texts: list[str]
    logits: list[Any]
    questions: list[HeldOutRow]
    answers: list[str]


def run(context: Context) -> None:
    targets = [target for target in context.spec.exports if exports.find(target)[0].kl_limits]
    seen = [target for target in context.spec.exports if exports.find(target)[0].sees]
    if not targets and not seen:
        english = "No export is run by a runtime of its own, so there is nothing to compare."
        context.notice("info", say("nothing_to_compare", english))
        return
    rows = context.prepared.questions[: context.spec.evaluation.answers] if targets else []
    several = len(targets) if context.spec.task in WRITING else 1
    total, done = (REFERRING + len(targets) * 3 + len(rows) * several if targets else 0) + len(seen), 0

    def step(note: str) -> None:
        nonlocal done
        done += 1
        context.progress(done, total, "checks", note)

    context.progress(0, total, "checks", say("merged", "merged"))
    results = list(spoken(context, targets, rows, step)) if targets else []
    for target in seen:
        results.append(told(context, target, partial(seeing.verify, context, target)))
        step(target)
    context.verified = tuple(results)
    export.describe(context)
    context.progress(total, total, "checks")
    if failed := [result for result in results if not result.passed]:
        why_failed = "; ".join(f"{result.key}: {result.why}" for result in failed)
        passed = "" if len(failed) == len(results) else " The other exports passed and can be used."
        raise VerificationError(
            f"Not all exports say what the trained model says. {why_failed}", failed[0].hint + passed
        )


def spoken(
    context: Context, targets: list[str], rows: list[HeldOutRow], step: Callable[[str], None]
) -> Iterator[e.Verified]:
    """What each of `targets`, which are language models, says; one of them tells its answers to `rows`."""
    ggufs = [target for target in targets if exports.find(target)[0].runtime == exports.LLAMA]
    graded = GRADED if GRADED in targets else (ggufs or targets)[-1]
    reference = refer(context)
    processor.release_freed_memory()  # the merged model is not needed any more
    for _ in range(REFERRING):
        step(say("merged", "merged"))
    for target in targets:
        asked = rows if target == graded or context.spec.task in WRITING else []
        yield told(context, target, partial(verify, context, target, reference, asked, step, tell=target == graded))


def told(context: Context, target: str, verified: Callable[[], e.Verified]) -> e.Verified:
    """What comes of it, a file that its runtime does not take too: the others are looked at all the same."""
    try:
        result = verified()
    except ModelError as error:
        result = unusable(target, error)
    context.emit(result)
    return result


def refer(context: Context) -> Reference:
    """Passages, logits and answers of the merged model, in float32 whatever it is stored in."""
    import torch

    tokenizer = load.tokenizer(context.merged)
    model = load.model(context.merged, "cpu", torch.float32).eval()
    texts = [*(text_of(row.conversation(), tokenizer) for row in context.prepared.questions), GENERAL_TEXT]
    chosen = passages([tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts])
    logits = []
    for ids in chosen:
        context.check_cancelled()
        logits.append(merged_logits(model, ids))
    questions = [*context.prepared.questions[:SIDE_BY_SIDE_HELD_OUT], *SIDE_BY_SIDE]
    prompts = [text_of(row.messages, tokenizer, prompt=True) for row in questions]
    context.check_cancelled()
    answers = merged_answers(model, tokenizer, prompts, context.spec.evaluation.max_new_tokens)
    return Reference(tokenizer, chosen, texts, logits, questions, answers)


def verify(
    context: Context,
    target: str,
    reference: Reference,
    rows: list[HeldOutRow],
    step: Callable[[str], None],
    *,
    tell: bool,
) -> e.Verified:
    """`target` compared with `reference`; `rows` are put to it and graded, and its answers told if wanted."""
    whole(context, target)
    with runtime(context, target) as opened:
        return compared(context, target, opened, reference, rows, step, tell=tell)


def compared(
    context: Context,
    target: str,
    opened: Opened,
    reference: Reference,
    rows: list[HeldOutRow],
    step: Callable[[str], None],
    *,
    tell: bool,
) -> e.Verified:
    card, variant = exports.find(target)
    limit = card.kl_limits[variant]
    with opened(max(len(ids) for ids in reference.passages), True) as engine:
        ids_equal = all(
            engine.tokenize(text) == reference.tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in [*reference.texts, *prompts(context, reference)]
        )
        step(target)
        scores = compare(reference.logits, (engine.logits(ids) for ids in reference.passages), reference.passages)
        step(target)
    prompt_equal, answers, graded = True, [], []
    most = context.spec.evaluation.max_new_tokens
    with opened(answer_context(context, reference, most), False) as engine:
        prompt_equal = all(same_prompt(engine, messages, reference) for messages in conversations(context, reference))
        for row in reference.questions:
            context.check_cancelled()
            answers.append(one_line(ask(engine, row, reference.tokenizer, most)[0]))
        step(target)
        for index, row in enumerate(rows):
            answer, stopped = ask(engine, row, reference.tokenizer, most)
            graded.append(grade(answer, row))
            if tell:
                context.emit(answered(index, row, answer, graded[-1], stopped))
            step(target)
    marks = [mark for mark in graded if mark is not None]
    result = e.Verified(
        time=time.time(),
        key=target,
        passed=prompt_equal and ids_equal and scores.kl_divergence <= limit,
        kl_divergence=scores.kl_divergence,
        top1_agreement=scores.top1_agreement,
        tokens_compared=scores.tokens_compared,
        prompt_equal=prompt_equal,
        token_ids_equal=ids_equal,
        kl_limit=limit,
        prompt="\n".join(one_line(row.question) for row in reference.questions),
        merged_answer="\n".join(one_line(answer) for answer in reference.answers),
        artifact_answer="\n".join(answers),
        correct=sum(marks) if marks else None,
        graded=len(marks) if marks else None,
        perplexity=scores.perplexity,
        merged_perplexity=scores.expected_perplexity,
    )
    if result.passed:
        return result
    because, way_on = why(result), hint(result)
    return msgspec.structs.replace(
        result, why=str(because), hint=str(way_on), why_said=meaning(because), hint_said=meaning(way_on)
    )


def whole(context: Context, target: str) -> None:
    """Raises MachineError when what was published is damaged."""
    card, variant = exports.find(target)
    path = context.artifacts / card.file_name(variant)
    if path.is_dir():
        publish.verify_folder(path)
    else:
        publish.verify_file(path)


def unusable(target: str, error: ModelError) -> e.Verified:
    """Of a file that its runtime does not take."""
    return e.Verified(
        time=time.time(),
        key=target,
        passed=False,
        kl_divergence=WORST,
        top1_agreement=0.0,
        tokens_compared=0,
        prompt_equal=False,
        token_ids_equal=False,
        kl_limit=0.0,
        why=error.message,
        hint=error.hint,
        why_said=of_error(error).said,
    )


def conversations(context: Context, reference: Reference) -> list[list[Message]]:
    questions = [*context.prepared.questions, *SIDE_BY_SIDE]
    return [*(row.messages for row in questions), SEVERAL_TURNS]


def prompts(context: Context, reference: Reference) -> list[str]:
    return [text_of(messages, reference.tokenizer, prompt=True) for messages in conversations(context, reference)]


def answer_context(context: Context, reference: Reference, most: int) -> int:
    """Tokens that the longest prompt with its answer takes; a little more, as texts may tokenize otherwise."""
    encode = reference.tokenizer
    longest = max(len(encode(text, add_special_tokens=False)["input_ids"]) for text in prompts(context, reference))
    return min(LONGEST_CONTEXT, longest + most + 64)


def same_prompt(engine: Engine | Folder, messages: list[Message], reference: Reference) -> bool:
    """Whether the template in the file renders as the tokenizer's does, byte for byte."""
    plain = [{key: value for key, value in message.items() if key != "loss"} for message in messages]
    try:
        rendered = engine.render(plain)
    except ModelError:
        return False
    return rendered.encode() == text_of(messages, reference.tokenizer, prompt=True).encode()


def ask(engine: Engine | Folder, row: HeldOutRow, tokenizer: Any, max_tokens: int) -> tuple[str, bool]:
    return engine.answer(engine.tokenize(text_of(row.messages, tokenizer, prompt=True)), max_tokens)


def answered(index: int, row: HeldOutRow, answer: str, correct: bool | None, stopped: bool) -> e.Answered:
    return e.Answered(
        time=time.time(),
        subject="gguf",
        row=index,
        question=row.question,
        answer=answer,
        expected=row.answer,
        correct=correct,
        stopped=stopped,
    )


def one_line(text: str) -> str:
    return " ".join(text.split())


def why(result: e.Verified) -> str:
    """What failed, in words."""
    found = (
        (not result.prompt_equal, say("other_prompt", "its chat template renders another prompt")),
        (not result.token_ids_equal, say("other_tokens", "it cuts text into other tokens")),
        (
            not result.kl_divergence <= result.kl_limit,
            say(
                "diverges",
                "its KL divergence is {divergence}, at most {limit} is allowed",
                divergence=f"{result.kl_divergence:.2g}",
                limit=f"{result.kl_limit:g}",
            ),
        ),
    )
    return reasons(text for holds, text in found if holds)


def hint(result: e.Verified) -> str:
    """What to try instead."""
    if not result.prompt_equal or not result.token_ids_equal:
        english = "Do not use it. The base model's tokenizer files may be incomplete; copy them again."
        return say("do_not_use_tokens", english)
    card, variant = exports.find(result.key)
    return say("do_not_use", "Do not use it. {instead}", instead=card.instead(variant))
