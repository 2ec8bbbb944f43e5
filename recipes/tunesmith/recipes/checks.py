"""What a recipe's values may be: one out of its range, or unsuited to another or to the device, is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tunesmith.recipes.errors import RecipeError, nearest
from tunesmith.recipes.spec import (
    BENCHMARK,
    CHECKPOINTING,
    MERGE,
    OVER_LONG,
    STARTER,
    TASKS,
    TRAIN,
    TRAINED,
    WRITING,
    BenchmarkSpec,
    JobSpec,
)

MOST_SCORES = 20
MOST_ADAPTERS = 64
ALONE = "The starter's rows come alone: their held-out questions say nothing about other data."


def check_values(spec: JobSpec) -> None:
    """Raises RecipeError for the first value outside its range."""
    from tunesmith.recipes.data import shapes

    training, data = spec.training, spec.data
    known_shapes = f"Leave it out, or give one of: {', '.join(shapes.cards())}."
    rules = (
        ("training.learning_rate", 0 < training.learning_rate <= 1, "Give a number above 0, usually 1e-5 to 5e-4."),
        ("training.epochs", 1 <= training.epochs <= 1000, "Give 1 to 1000."),
        ("training.batch_size", 1 <= training.batch_size <= 4096, "Give 1 to 4096."),
        ("training.gradient_accumulation", 1 <= training.gradient_accumulation <= 4096, "Give 1 to 4096."),
        ("training.max_length", training.max_length is None or training.max_length >= 8, "Give 8 or more tokens."),
        ("training.warmup_fraction", 0 <= training.warmup_fraction < 1, "Give 0 up to 1."),
        ("training.weight_decay", 0 <= training.weight_decay <= 1, "Give 0 to 1."),
        ("training.gradient_clip", 0 < training.gradient_clip <= 1000, "Give a number above 0, usually 1."),
        (
            "training.gradient_checkpointing",
            isinstance(training.gradient_checkpointing, bool) or training.gradient_checkpointing in CHECKPOINTING,
            f"Give {', '.join(CHECKPOINTING)}.",
        ),
        ("training.window", training.window is None or 8 <= training.window <= 2**20, "Give 8 to 1048576 tokens."),
        ("training.save_steps", training.save_steps is None or training.save_steps >= 0, "Give 0 or more steps."),
        ("training.device", training.device in ("auto", "cpu", "cuda", "mps"), "Give auto, cpu, cuda or mps."),
        ("training.dtype", training.dtype in ("auto", "float32", "bfloat16"), "Give auto, float32 or bfloat16."),
        ("data.held_out_fraction", 0 < data.held_out_fraction < 1, "Give a number between 0 and 1."),
        ("data.train", bool(data.sources), "Give 'starter', a path, or a list of paths."),
        ("data.train", len(data.sources) == 1 or all(part.path != STARTER for part in data.sources), ALONE),
        ("data.train weight", all(0 < source.weight <= 1000 for source in data.sources), "Give a number above 0."),
        ("data.shape", data.shape is None or data.shape in shapes.cards(), known_shapes),
        ("data.trained", data.trained in TRAINED, f"Give {', '.join(TRAINED)}."),
        ("data.over_long", data.over_long in OVER_LONG, f"Give {', '.join(OVER_LONG)}."),
        ("data.persona.name", bool(data.persona.name.strip()), "Give a name."),
        ("data.persona.maker", bool(data.persona.maker.strip()), "Give a maker."),
        ("evaluation.answers", 0 <= spec.evaluation.answers <= 1000, "Give 0 to 1000."),
        ("evaluation.samples", 0 <= spec.evaluation.samples <= 16, "Give 0 to 16."),
        ("evaluation.scores", len(spec.evaluation.scores) <= MOST_SCORES, f"Give {MOST_SCORES} at most."),
        ("evaluation.max_new_tokens", 1 <= spec.evaluation.max_new_tokens <= 4096, "Give 1 to 4096."),
        ("task", spec.task in TASKS, f"Give {', '.join(TASKS)}."),
        (
            "of",
            (spec.of is None) == (spec.task == TRAIN),
            "Give the artifacts of a finished run, with task export, evaluate, merge or benchmark.",
        ),
        (
            "benchmark",
            spec.task == TRAIN or (spec.benchmark is None) == (spec.task != BENCHMARK),
            "Give its suites, with task benchmark or in the recipe of a training.",
        ),
        (
            "adapters",
            bool(spec.adapters) == (spec.task == MERGE) and len(spec.adapters) <= MOST_ADAPTERS,
            f"Give 1 to {MOST_ADAPTERS} of them, with task merge.",
        ),
        (
            "adapters weight",
            all(0 < abs(one.weight) <= 100 for one in spec.adapters),
            "Give a number such as 0.5; -1 takes away what an adapter changed.",
        ),
        ("name", re.fullmatch(r"[^\x00-\x1f/\\]{1,80}", spec.name) is not None, "Give 1 to 80 characters, no slash."),
    )
    for key, holds, hint in rules:
        if not holds:
            raise RecipeError(f"{key} is out of range", hint)
    if spec.benchmark is not None:
        check_benchmark(spec.benchmark)
    check_evaluation(spec)


def check_benchmark(asked: BenchmarkSpec) -> None:
    """Raises RecipeError for suites that are unknown, none or twice, and for a limit out of range."""
    from tunesmith.recipes import suites

    if not 1 <= len(asked.suites) <= suites.MOST or len(set(asked.suites)) < len(asked.suites):
        hint = f"Known: {', '.join(suites.cards())}."
        raise RecipeError(f"benchmark.suites names none, one twice, or more than {suites.MOST}", hint)
    for suite in asked.suites:
        suites.check(suite, asked.tool)
    if asked.limit is not None and not 1 <= asked.limit <= suites.MOST_QUESTIONS:
        raise RecipeError("benchmark.limit is out of range", f"Give 1 to {suites.MOST_QUESTIONS} questions.")
    if re.fullmatch(r"[a-z0-9_]{0,40}", asked.variant) is None:
        raise RecipeError(f"There is no model '{asked.variant}' of a run", "Give f16, q8_0, merged, adapter or base.")


def check_evaluation(spec: JobSpec) -> None:
    """Raises RecipeError for scores that are unknown or share a name, and for a gate that is none of theirs, nor of the
    suites.
    """
    from tunesmith.recipes import evals, gate

    evaluation = spec.evaluation
    names: dict[str, str] = {}
    for score in evaluation.scores:
        card, argument = evals.find(score)
        card.check(argument)
        name = evals.name_of(score)
        if name in names or name in gate.MEASURES or (name in evals.cards() and name != card.key):
            raise RecipeError(f"Two measures would be called '{name}': '{score}' is one of them", "Leave one out.")
        names[name] = score
    if names and not evaluation.answers:
        raise RecipeError(
            "evaluation.scores needs answers, and evaluation.answers is 0", "Give evaluation.answers: 20."
        )
    if evaluation.fail_if is None:
        return
    asked = gate.suites_of(spec)
    gate.check(evaluation.fail_if, (*names, *asked))
    taken = {"general_perplexity": evaluation.general, "correct": evaluation.answers > 0}
    for name in gate.parse(evaluation.fail_if).names():
        measure = name.removeprefix(gate.BEFORE)
        if not taken.get(measure, True) or (spec.task == BENCHMARK and measure not in asked):
            raise RecipeError(f"evaluation.fail_if names '{name}', which this recipe does not measure", "Leave it out.")
        if measure in asked and name != measure and not asked[measure].base:
            raise RecipeError(
                f"evaluation.fail_if names '{name}', and the untuned model is not asked", "Set benchmark.base to true."
            )
        if measure in asked and (measure in names or measure in gate.MEASURES):
            raise RecipeError(f"Two measures are called '{measure}'", "Give the file of questions another name.")


def check_parts(spec: JobSpec) -> None:
    """Raises RecipeError for parts that are unknown or do not go together; `spec` names known cards of its tuner."""
    from tunesmith.recipes import exports, optimizers, quants, tuners

    if spec.quantization not in quants.cards():
        raise RecipeError(f"quantization is {spec.quantization!r}", nearest(spec.quantization, quants.cards()))
    optimizer = spec.training.optimizer
    if optimizer not in optimizers.cards():
        raise RecipeError(f"training.optimizer is {optimizer!r}", nearest(optimizer, optimizers.cards()))
    tuner = tuners.cards()[spec.tuner["kind"]]
    if not tuner.adapter and spec.quantization != "none":
        raise RecipeError(
            f"{tuner.title} trains the base's own weights, and those of a base in {spec.quantization} are fixed",
            "Set quantization to none, or tuner.kind to lora.",
        )
    if spec.task == TRAIN and spec.benchmark is not None:
        check_asked(spec.benchmark.variant, spec.exports)
    for target in spec.exports:
        if exports.find(target)[0].of_adapter and not tuner.adapter:
            raise RecipeError(
                f"{tuner.title} makes no adapter, so '{target}' cannot be exported",
                f"Take '{target}' out of `exports`; 'merged' is the whole trained model.",
            )
        if exports.find(target)[0].of_adapter and spec.task == MERGE:
            raise RecipeError(
                f"Several adapters in one base are no adapter, so '{target}' cannot be exported",
                f"Take '{target}' out; 'merged' is the whole model.",
            )
    if spec.training.device != "auto" and spec.task not in (*WRITING, BENCHMARK):
        refuse_unsuited(spec, spec.training.device)


def can_be_asked(targets: Iterable[str]) -> list[str]:
    """What the models among exports are called when one of them is asked: f16, q8_0, merged, adapter."""
    return [
        target.removeprefix("gguf:")
        for target in targets
        if re.fullmatch("adapter|merged|gguf:[a-z0-9_]{1,40}", target)
    ]


def check_asked(variant: str, targets: tuple[str, ...]) -> None:
    """Raises RecipeError where a training exports nothing that its benchmarks could ask."""
    can = can_be_asked(targets)
    if not can:
        raise RecipeError(
            "benchmark asks what was exported, and nothing that can answer is", "Add gguf:q8_0 to exports."
        )
    if variant and variant not in can:
        raise RecipeError(f"benchmark.variant is {variant!r}, which is not exported", f"Give {' or '.join(can)}.")


def refuse_unsuited(spec: JobSpec, device: str) -> None:
    """Raises RecipeError for what does not run on `device` (cuda, mps, cpu), before anything is loaded."""
    from tunesmith.recipes import optimizers, quants

    for key, value, card in (
        ("quantization", spec.quantization, quants.cards()[spec.quantization]),
        ("training.optimizer", spec.training.optimizer, optimizers.cards()[spec.training.optimizer]),
    ):
        if device not in card.devices:
            raise RecipeError(
                f"{key} {value} does not run on {device}",
                f"It runs on {' and '.join(card.devices)}. Leave {key} out to train on {device}.",
            )
    if spec.training.activation_offload and device != "cuda":
        raise RecipeError(
            f"training.activation_offload moves activations off a GPU; this run is on {device}",
            "Leave it out; training.gradient_checkpointing full needs less memory anywhere.",
        )
