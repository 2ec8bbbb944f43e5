"""JobSpec: a job is a filled-in recipe, and one YAML file says all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tunesmith.recipes import yaml_text
from tunesmith.recipes.errors import RecipeError, nearest

FORMAT_VERSION = 1
STARTER = "starter"  # the model and data that come with the install
CHECKPOINTING = ("auto", "off", "selective", "full")
TRAINED = ("assistant", "last", "all")  # whose tokens have a loss
OVER_LONG = ("error", "drop", "cut_left", "cut_right", "split")
TRAIN, EXPORT, EVALUATE, MERGE, BENCHMARK = TASKS = ("train", "export", "evaluate", "merge", "benchmark")
WRITING = (EXPORT, MERGE)  # tasks that compute no model on a device, only files
STAGES_OF = {  # what a job of each task goes through
    TRAIN: ("fetch", "prepare", "probe", "train", "evaluate", "export", "verify"),
    EXPORT: ("fetch", "prepare", "export", "verify"),
    EVALUATE: ("fetch", "prepare", "evaluate"),
    MERGE: ("fetch", "prepare", "export", "verify"),
    BENCHMARK: ("fetch", "evaluate"),
}
EVERY_STAGE = (*STAGES_OF[TRAIN], BENCHMARK)


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class ModelSpec(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`source` is `starter`, a folder with config.json, safetensors and tokenizer, a .gguf file, a name of the
    catalogue, or `owner/name` at a hub: `huggingface:` or `modelscope:` before it, `@revision` after it if wanted.
    """

    source: str = STARTER


class Persona(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who the starter data teaches the model to be."""

    name: str = "Vesper"
    maker: str = "Juniper Labs"


class SourceSpec(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of several sources. `weight` is how often each of its rows is seen an epoch: 2 twice, 0.5 every other."""

    path: str
    weight: float = 1.0


class DataSpec(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`train` is `starter`, a file, folder or glob, or a list of those, each with a weight if wanted.

    `held_out` is `starter` or a file; without it rows are split off `train`. `shape` (None: recognised) and `map`
    (column to field) say how rows are read, `trained` which tokens: assistant (all its turns), last (turn), all.
    """

    train: str | tuple[str | SourceSpec, ...] = STARTER
    held_out: str | None = None
    held_out_fraction: float = 0.05
    shape: str | None = None
    map: dict[str, str] = {}
    trained: str = "assistant"
    persona: Persona = Persona()
    over_long: str = "error"

    @property
    def sources(self) -> tuple[SourceSpec, ...]:
        """`train` in its long form."""
        several = (self.train,) if isinstance(self.train, str) else self.train
        return tuple(SourceSpec(path=source) if isinstance(source, str) else source for source in several)


class TrainingSpec(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the steps are taken. `batch_size * gradient_accumulation` rows are one optimizer step, its loss the mean over
    their labelled tokens however they are computed.

    `max_length` is in tokens (None: the longest row), `dtype` auto the device's. `packing` computes a step's rows
    without padding, `window` tokens at once (None: what suits the device); `fused` takes the fused layers where they
    are proven equal, `compile` torch.compile. `gradient_checkpointing` is auto, off, selective or full (true and false
    are full and off). `save_steps` is the steps between two checkpoints that a run can be resumed from (None: about
    every two minutes, less often where saving takes long; 0: never); the end of training is one too. `start_from` is
    what an earlier run of the same base and tuner exported, its adapter or, where every weight is trained, its merged
    model: training begins from there, with a new optimizer and schedule (None: from the base).
    """

    learning_rate: float = 2e-4
    epochs: int = 3
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_length: int | None = None
    warmup_fraction: float = 0.05
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    gradient_checkpointing: bool | str = "auto"
    activation_offload: bool = False
    packing: bool = True
    window: int | None = None
    fused: bool = True
    compile: bool = False
    optimizer: str = "adamw"
    save_steps: int | None = None
    start_from: str | None = None
    seed: int = 42
    device: str = "auto"
    dtype: str = "auto"

    @property
    def checkpointing(self) -> str:
        """`gradient_checkpointing` as one of CHECKPOINTING."""
        given = self.gradient_checkpointing
        return ("full" if given else "off") if isinstance(given, bool) else given


class AdapterSpec(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An adapter's folder, and how much of what it changes is merged: 0.5 half, -1 its opposite."""

    path: str
    weight: float = 1.0


class EvaluationSpec(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`answers`: how many held-out questions are answered before and after; 0 for none. `samples`: how many are
    answered while training goes on, about four times a run and only where that takes little of its time; 0 for none.
    `scores` are taken of the answers before and after (recipes.evals), `fail_if` is a condition on all measures
    (recipes.gate): a run that meets it fails before anything is exported.
    """

    answers: int = 20
    samples: int = 2
    max_new_tokens: int = 64
    general: bool = True
    scores: tuple[str, ...] = ()
    fail_if: str | None = None


class BenchmarkSpec(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Public benchmarks of a run's model. `suites` are names or files (recipes.suites), `tool` runs all of them (None:
    each what suits it), on `limit` questions of each of a suite's parts (None: all). `variant` is which of the run's
    models, as `tunesmith serve` says it (empty: the one it is chatted with); `base`: the untuned one too.
    """

    suites: tuple[str, ...]
    tool: str | None = None
    limit: int | None = None
    variant: str = ""
    base: bool = False


class JobSpec(_Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole run. `method` and `tuner` are a card's `kind` with that card's knobs beside it.

    `task` is train; or export, evaluate, merge or benchmark, which take up what a finished run made: `of` is the folder
    of its artifacts. A merge puts several `adapters` into that run's base, and exports that. `benchmark` says which
    public benchmarks are run: by the task of that name, or by a training of what it has exported.
    """

    version: int = FORMAT_VERSION
    name: str = "run"
    model: ModelSpec = ModelSpec()
    data: DataSpec = DataSpec()
    method: dict[str, Any] = msgspec.field(default_factory=lambda: {"kind": "sft"})
    tuner: dict[str, Any] = msgspec.field(default_factory=lambda: {"kind": "lora"})
    quantization: str = "none"
    training: TrainingSpec = TrainingSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    exports: tuple[str, ...] = ("adapter", "merged", "gguf:f16", "gguf:q8_0")
    task: str = TRAIN
    of: str | None = None
    adapters: tuple[AdapterSpec, ...] = ()
    benchmark: BenchmarkSpec | None = None


def stages_of(spec: JobSpec) -> tuple[str, ...]:
    """What the job goes through: the stages of its task, and after a training its benchmarks."""
    return (*STAGES_OF[spec.task], *((BENCHMARK,) if spec.task == TRAIN and spec.benchmark is not None else ()))


def parse(text: str, folder: Path) -> JobSpec:
    """A checked, filled-in JobSpec; relative paths become absolute against `folder`, the recipe file's own.

    Raises RecipeError naming the key, with the nearest known one.
    """
    raw = yaml_text.decoded(text)
    if not isinstance(raw, dict):
        raise RecipeError("The recipe is empty or not a mapping", "Begin with `model:` and `data:`; see the README.")
    if raw.get("version", FORMAT_VERSION) != FORMAT_VERSION:
        raise RecipeError(
            f"The recipe says version {raw['version']!r}; this Tunesmith knows {FORMAT_VERSION}", "Update Tunesmith."
        )
    refuse_unknown(raw, JobSpec, "the recipe")
    try:
        spec = msgspec.convert(with_tuner_defaults(raw), JobSpec, strict=False)
    except msgspec.ValidationError as error:
        raise RecipeError(f"The recipe has a wrong value: {error}", "Correct it; the README lists all keys.") from error
    return complete(absolute(spec, folder))


def load(path: Path) -> JobSpec:
    """Raises RecipeError when the file cannot be read or is wrong."""
    return parse(text_of(path), path.resolve().parent)


def text_of(path: Path) -> str:
    """A recipe file's text, at most a little more than one may have. Raises RecipeError."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(yaml_text.MOST_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"Cannot read the recipe {path}: {error}", "Give the path of a YAML recipe file.") from error


def with_tuner_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """`raw` with what its tuner's card sets where the recipe is silent: values of `training`, and its exports."""
    from tunesmith.recipes import exports, tuners

    chosen, training = raw.get("tuner"), raw.get("training", {})
    kind = chosen.get("kind") if isinstance(chosen, dict) else None
    tuner = tuners.cards().get(kind) if isinstance(kind, str) else None
    if tuner is None or not isinstance(training, dict):
        return raw  # as it is by default, or wrong, which whoever reads it says
    possible = [target for target in JobSpec().exports if tuner.adapter or not exports.find(target)[0].of_adapter]
    return {"exports": possible} | raw | {"training": dict(tuner.training_defaults) | training}


def refuse_unknown(raw: dict[str, Any], struct: type[msgspec.Struct], where: str) -> None:
    """Raises RecipeError for the first key of `raw`, at any depth, that `struct` does not have."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    for key, value in raw.items():
        if key not in fields:
            raise RecipeError(f"{where} has no key '{key}'", nearest(str(key), fields))
        inner = fields[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            refuse_unknown(value, inner, f"'{key}'")


def absolute(spec: JobSpec, folder: Path) -> JobSpec:
    """`spec` with every path absolute; ids of models stay as they are. Raises RecipeError."""
    from tunesmith.recipes import evals, suites
    from tunesmith.recipes.models.source import located
    from tunesmith.recipes.possible_path import resolved

    replace = msgspec.structs.replace

    def resolve(value: str) -> str:
        return value if value == STARTER else resolved(value, folder)

    def resolve_source(source: str | SourceSpec) -> str | SourceSpec:
        return resolve(source) if isinstance(source, str) else replace(source, path=resolve(source.path))

    train, held_out = spec.data.train, spec.data.held_out
    data = replace(
        spec.data,
        train=resolve(train) if isinstance(train, str) else tuple(resolve_source(source) for source in train),
        held_out=None if held_out is None else resolve(held_out),
    )
    start = spec.training.start_from
    training = replace(spec.training, start_from=None if start is None else resolve(start))
    model = replace(spec.model, source=located(spec.model.source, folder))
    of = None if spec.of is None else resolve(spec.of)
    scores = tuple(evals.located(score, folder) for score in spec.evaluation.scores)
    evaluation = replace(spec.evaluation, scores=scores)
    asked = spec.benchmark
    if asked is not None:
        asked = replace(asked, suites=tuple(suites.located(suite, folder) for suite in asked.suites))
    adapters = tuple(replace(one, path=resolve(one.path)) for one in spec.adapters)
    parts = {"model": model, "data": data, "training": training, "evaluation": evaluation}
    return replace(spec, **parts, of=of, adapters=adapters, benchmark=asked)


def complete(spec: JobSpec) -> JobSpec:
    """`spec` with the knobs of its cards filled in and every value checked. Raises RecipeError."""
    from tunesmith.recipes import methods, tuners
    from tunesmith.recipes.checks import check_parts, check_values
    from tunesmith.recipes.fields import fill

    def with_card(where: str, given: dict[str, Any], cards: Any) -> dict[str, Any]:
        kind = given.get("kind")
        if not isinstance(kind, str) or kind not in cards:
            raise RecipeError(f"{where} kind is {kind!r}", nearest(str(kind), cards))
        knobs = {key: value for key, value in given.items() if key != "kind"}
        return {"kind": kind, **fill(where, cards[kind].knobs, knobs)}

    check_values(spec)
    filled = msgspec.structs.replace(
        spec,
        method=with_card("method", spec.method, methods.cards()),
        tuner=with_card("tuner", spec.tuner, tuners.cards()),
        training=msgspec.structs.replace(spec.training, gradient_checkpointing=spec.training.checkpointing),
    )
    check_parts(filled)
    return filled


def to_yaml(spec: JobSpec) -> str:
    """The recipe file that reproduces `spec`, every value written out."""
    return msgspec.yaml.encode(spec, order=None).decode("utf-8")


def json_schema() -> dict[str, Any]:
    """JSON schema of a recipe file, for editors; the knobs of every card are in it."""
    from tunesmith.recipes import methods, optimizers, quants, tuners
    from tunesmith.recipes.fields import schema

    document = msgspec.json.schema(JobSpec)
    properties = document["$defs"]["JobSpec"]["properties"]
    properties["quantization"]["enum"] = list(quants.cards())
    properties["task"]["enum"] = list(TASKS)
    document["$defs"]["TrainingSpec"]["properties"]["optimizer"]["enum"] = list(optimizers.cards())
    for part, cards in (("method", methods.cards()), ("tuner", tuners.cards())):
        properties[part] = {
            "oneOf": [
                {
                    "type": "object",
                    "description": card.blurb,
                    "properties": {"kind": {"const": key}} | schema(card.knobs),
                    "required": ["kind"],
                    "additionalProperties": False,
                }
                for key, card in cards.items()
            ]
        }
    return document
