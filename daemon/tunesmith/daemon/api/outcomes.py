"""Events of what a run came to: scores, answers, artifacts and how they were verified."""

from __future__ import annotations

import msgspec

from tunesmith.daemon.api.told import Told
from tunesmith.recipes.intervals import Interval
from tunesmith.recipes.words import Said


class Scored(Told, frozen=True, kw_only=True, tag="scored"):
    """Loss-based scores of `subject` (base or tuned); None where there were no rows to score."""

    subject: str
    held_out_loss: float | None = None
    held_out_perplexity: float | None = None
    general_perplexity: float | None = None


class Answered(Told, frozen=True, kw_only=True, tag="answered"):
    """One greedy answer of `subject` (base, tuned, gguf); `correct` None where no rule grades it.

    `stopped` says whether the model ended its turn itself before evaluation.max_new_tokens; None in older journals.
    """

    subject: str
    row: int
    question: str
    answer: str
    expected: str = ""
    correct: bool | None = None
    stopped: bool | None = None
    set_name: str = "held_out"


class RowScore(msgspec.Struct, frozen=True):
    """What a measure says of one held-out row's answers; `row` is that of the Answered events."""

    row: int
    before: float
    after: float


class Measured(Told, frozen=True, kw_only=True, tag="measured"):
    """A measure of the recipe's `scores` over `rows` held-out answers, from 0 to `top`; higher is better.

    `change` is of the same rows, with an interval of its own. `changed` are the rows that changed most, those first.
    `own_code` is the person's file that computed it; empty for ours. `row_scores` are of the tuned model's answers, in
    the order of the rows; `after` is their mean. Empty for a measure of the whole set, and in older journals.
    """

    name: str
    score: str
    rows: int
    before: Interval
    after: Interval
    change: Interval
    top: float = 1.0
    changed: tuple[RowScore, ...] = ()
    own_code: str = ""
    row_scores: tuple[float, ...] = ()


class PartFigure(msgspec.Struct, frozen=True):
    """The figure of a part of a suite, for example of a subject of MMLU."""

    name: str
    value: float
    questions: int


class Benchmarked(Told, frozen=True, kw_only=True, tag="benchmarked"):
    """A public benchmark of `subject` (base or tuned) as `tool` (with its version) ran it: `metric`, from 0 to 1.

    `figure` is with a 95 % interval; `standard_error` is the tool's own, else that of a proportion.
    `refused` of the `questions` were not answered by the server, so they count as wrong. `model` is what was asked.
    `own_code` is the person's task file whose code was run; empty for all else.
    """

    suite: str
    title: str
    subject: str
    model: str
    tool: str
    metric: str
    questions: int
    figure: Interval
    standard_error: float
    refused: int = 0
    parts: tuple[PartFigure, ...] = ()
    own_code: str = ""


class Sampled(Told, frozen=True, kw_only=True, tag="sampled"):
    """One greedy answer of the model as it is after `step`, asked while training goes on; texts are cut to be short.

    `stopped`: the model ended it itself, before it had the tokens or the time that a sample may take.
    """

    step: int
    row: int
    question: str
    answer: str
    expected: str = ""
    correct: bool | None = None
    stopped: bool = True


class ArtifactWritten(Told, frozen=True, kw_only=True, tag="artifact_written"):
    """`key` is the recipe's export target (adapter, gguf:f16 ...); `path` is relative to the job's folder."""

    key: str
    path: str
    bytes: int
    sha256: str


class Verified(Told, frozen=True, kw_only=True, tag="verified"):
    """An exported artifact compared with the merged model; of one that failed `why`, and the `hint` what to try.

    `perplexity` is of the compared texts, `merged_perplexity` what the merged model has there; None in older journals.
    Of what a model sees with a picture's embeddings are compared and nothing else: `embedding_error` is their relative
    error, at most `embedding_limit`. Both are None for all else, whose other figures count.
    """

    key: str
    passed: bool
    kl_divergence: float
    top1_agreement: float
    tokens_compared: int
    prompt_equal: bool
    token_ids_equal: bool
    kl_limit: float
    prompt: str = ""
    merged_answer: str = ""
    artifact_answer: str = ""
    correct: int | None = None
    graded: int | None = None
    perplexity: float | None = None
    merged_perplexity: float | None = None
    embedding_error: float | None = None
    embedding_limit: float | None = None
    why: str = ""
    hint: str = ""
    why_said: Said | None = None
    hint_said: Said | None = None
