"""Runs merged into one base: which cannot go together and why, the recipe, and the command that does the same."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.recipes.errors import JobError, RecipeError
from tunesmith.recipes.spec import MERGE, TRAIN, JobSpec
from tunesmith.tui.explained import SAID
from tunesmith.tui.plain import one_line
from tunesmith.tui.taken_up import artifacts
from tunesmith.tui.texts import t

FEWEST = 2
MERGED = "merged"
MOST_WEIGHT = 100.0  # what a recipe takes


class Mergeable(msgspec.Struct, frozen=True):
    """Runs of one base, called `base` in the first one's recipe: that one's rows verify what is written.

    `targets` can be written of them; `ticked` are what others begin with and those that the first one wrote.
    """

    runs: tuple[JobView, ...]
    base: str
    targets: tuple[str, ...]
    ticked: tuple[str, ...]


class Part(msgspec.Struct, frozen=True):
    """A run, and how much of what its adapter changes is merged."""

    run: JobView
    weight: float


def look(runs: Sequence[JobView]) -> Mergeable:
    """Raises JobError for a run that has no adapter or is of another base, RecipeError where its recipe is gone."""
    from tunesmith.recipes import again, exports
    from tunesmith.recipes.further import RECIPE
    from tunesmith.recipes.spec import load

    if len(runs) < FEWEST:
        raise JobError(t("merge.too_few", marked=len(runs)), t("merge.too_few_hint"), SAID)
    for run in runs:
        refuse(run)
    recipes = [load(artifacts(run) / RECIPE) for run in runs]
    bases = [one_line(recipe.model.source) for recipe in recipes]
    known = [again.trained_on(artifacts(run)) for run in runs]
    for run, base, found in zip(runs, bases, known, strict=True):
        if found and known[0] and found != known[0]:
            what = t("merge.other_base", run=run.id, base=base, first=runs[0].id, first_base=bases[0])
            raise JobError(what, t("merge.other_base_hint"), SAID)
    written = [target for target in recipes[0].exports if not exports.find(target)[0].of_adapter]
    ticked = tuple(dict.fromkeys([MERGED, *written]))
    targets = tuple(dict.fromkeys([*ticked, *possible(Path(runs[0].folder))]))
    return Mergeable(tuple(runs), bases[0], targets, ticked)


def refuse(run: JobView) -> None:
    """Raises JobError where it has left no adapter."""
    if run.task == MERGE:
        raise JobError(t("merge.of_merge", run=run.id), t("merge.of_merge_hint"), SAID)
    if run.task != TRAIN:
        hint = t("merge.not_training_hint", of=run.of) if run.of is not None else t("merge.leave_out")
        raise JobError(t("merge.not_training", run=run.id), hint, SAID)
    state = t(f"run.state_{run.state}")
    if not run.ended_already:
        raise JobError(t("merge.not_ended", run=run.id, state=state), t("merge.not_ended_hint"), SAID)
    if any(artifact.key == "adapter" for artifact in run.artifacts):
        return  # also of one whose verification failed
    if run.state != FINISHED:
        raise JobError(t("merge.not_finished", run=run.id, state=state), t("merge.not_finished_hint"), SAID)
    raise JobError(t("merge.no_adapter", run=run.id), t("merge.no_adapter_hint"), SAID)


def possible(job: Path) -> list[str]:
    """What can be written of the base of the run in this folder, as far as that is known."""
    from tunesmith.recipes import exports, models

    named = job / "base.txt"
    base = Path(named.read_text("utf-8").strip()) if named.is_file() else None
    facts = models.read(base) if base is not None and base.is_dir() else None
    return [
        exports.named(card, variant)
        for card in exports.cards().values()
        if not (card.of_adapter or (card.needs_file if facts is None else card.unsuited(facts)))
        for variant in card.offered or card.variants
    ]


def weight(run: int, text: str) -> float:
    """Of this run, as it was typed. Raises RecipeError."""
    typed = one_line(text.strip())
    try:
        found = float(typed.replace(",", "."))
    except ValueError:
        said = t("merge.no_number", run=run, text=typed) if typed else t("merge.no_weight", run=run)
        raise RecipeError(said, t("merge.weight_hint"), SAID) from None
    if not found:
        raise RecipeError(t("merge.zero", run=run), t("merge.zero_hint"), SAID)
    if not abs(found) <= MOST_WEIGHT:  # neither does what `nan` is read as
        raise RecipeError(t("merge.too_much", run=run, text=typed), t("merge.weight_hint"), SAID)
    return found


def command(parts: Sequence[Part], targets: Sequence[str]) -> str:
    """What does the same in a terminal."""
    runs = " ".join(f"{part.run.id}={part.weight:.12g}" for part in parts)
    return f"tunesmith merge {runs} --to {shlex.quote(','.join(targets))}"


def recipe(parts: Sequence[Part], targets: Sequence[str]) -> JobSpec:
    """Raises RecipeError, ModelError."""
    from tunesmith.recipes.again import folders, merging
    from tunesmith.recipes.spec import AdapterSpec

    adapters = tuple(AdapterSpec(path=str(folders(artifacts(part.run))[0]), weight=part.weight) for part in parts)
    return merging(artifacts(parts[0].run), adapters, tuple(targets))
