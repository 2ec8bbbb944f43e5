"""The README.md beside the artifacts: what the model is, how it was made, and how to load each file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.trained import Trained
from tunesmith.recipes import exports, methods, quants, tuners
from tunesmith.recipes.spec import STARTER, JobSpec

STARTER_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"  # what the starter is, by the name it is known by


class Known(msgspec.Struct, frozen=True):
    """What came of it; `refused` is what the recipe's gate says against the model."""

    trained: Trained | None = None
    verified: tuple[e.Verified, ...] = ()
    benchmarks: tuple[e.Benchmarked, ...] = ()
    refused: str = ""


def text(spec: JobSpec, artifacts: Path, known: Known) -> str:
    """Of the files in `artifacts`."""
    base = STARTER_MODEL if spec.model.source == STARTER else spec.model.source
    method = methods.cards()[spec.method["kind"]].title
    tuner = tuners.cards()[spec.tuner["kind"]].title
    kept = "" if spec.quantization == "none" else f" beside a base in {quants.cards()[spec.quantization].title}"
    data = "the starter data" if spec.data.train == STARTER else f"`{spec.data.train}`"
    front = msgspec.yaml.encode({"base_model": base, "library_name": "transformers", "tags": ["tunesmith"]}).decode()
    parts = [
        f"---\n{front}---\n# {spec.name}\n",
        f"`{base}`, tuned with {method} and {tuner}{kept} on {data}. `recipe.yaml` repeats the run.\n",
        *several(spec),
        *([f"**The recipe's gate refused this model**: {known.refused}\n"] if known.refused else []),
        *how_it_went(spec, known.trained),
        "## Files\n",
        table(("file", "what it is", "to load it"), [file_row(target, artifacts) for target in spec.exports]),
        "\n`sha256sum -c SHA256SUMS` checks them all.\n",
    ]
    spoken = [v for v in known.verified if v.embedding_error is None]
    seen = [(v.key, f"{v.embedding_error:.2e}", yes(v.passed)) for v in known.verified if v.embedding_error is not None]
    if spoken:
        rows = [
            (v.key, f"{v.kl_divergence:.2e}", f"{v.top1_agreement:.1%}", str(v.tokens_compared), yes(v.passed))
            for v in spoken
        ]
        head = ("export", "KL divergence", "same top token", "tokens", "passed")
        parts += ["\n## Compared with the merged model\n", table(head, rows)]
    if seen:
        parts += ["\n## A picture's embeddings\n", table(("export", "relative error", "passed"), seen)]
    if known.benchmarks:
        columns = ("benchmark", "model", "measure", "questions", "figure (95 % interval)", "run by")
        parts += ["\n## Public benchmarks\n", table(columns, map(benchmark_row, known.benchmarks))]
    return "\n".join(parts)


def benchmark_row(one: e.Benchmarked) -> tuple[str, ...]:
    figure = f"{one.figure.value:.3f} ({one.figure.low:.3f} to {one.figure.high:.3f})"
    return one.title, "untuned" if one.subject == "base" else "tuned", one.metric, str(one.questions), figure, one.tool


def several(spec: JobSpec) -> Iterable[str]:
    """Of a merge of several adapters: which, and how much of each."""
    if spec.adapters:
        yield "Several adapters are merged into its base, as the sum of what each changes, times its weight:\n"
        yield table(("weight", "adapter"), [(f"{one.weight:g}", f"`{one.path}`") for one in spec.adapters])


def how_it_went(spec: JobSpec, trained: Trained | None) -> Iterable[str]:
    """What whoever uses the files should know of the training; nothing where it went as the recipe says."""
    if spec.training.start_from is not None:
        yield f"Training began from the weights in `{spec.training.start_from}`.\n"
    if trained is None:
        return
    if trained.stopped_early:
        yield (
            f"**Training was stopped early, after step {trained.steps} of {trained.total_steps}**: "
            "repeating the run in full gives another model.\n"
        )
    if trained.inexact:
        reasons = "; ".join(trained.inexact)
        yield f"Training was interrupted and went on elsewhere: repeating it gives other last bits ({reasons}).\n"


def file_row(target: str, artifacts: Path) -> tuple[str, str, str]:
    card, variant = exports.find(target)
    file = card.file_name(variant)
    said = card.says(artifacts / file)
    what = f"{card.blurb} {said}." if said else card.blurb
    return f"`{file}`", what, card.how_to_load.format(file=file, variant=variant, name="my-model")


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def yes(value: bool) -> str:
    return "yes" if value else "no"
