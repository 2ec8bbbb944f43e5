"""A finished run evaluated again, by screens and commands: what of it can be asked, the recipe, what it needs."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunesmith.daemon.api.view import JobView
from tunesmith.recipes import again, evals, suites
from tunesmith.recipes.checks import can_be_asked
from tunesmith.recipes.further import RECIPE
from tunesmith.recipes.models import source
from tunesmith.recipes.spec import BENCHMARK, EVALUATE, EXPORT, STARTER, BenchmarkSpec, JobSpec, load
from tunesmith.tui.name_list import PATTERN
from tunesmith.tui.taken_up import absolute, artifacts, trained

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.models.facts import ModelFacts
    from tunesmith.recipes.planner import Rows
    from tunesmith.tui.watch import JobClient


class Evaluable(msgspec.Struct, frozen=True):
    """`variants` are the models of the run that can be asked by name; `recipe` is what it was made by.

    `facts` of its base and `longest` tokens of its rows are for planning: None and 0 where that is not known.
    """

    run: JobView
    recipe: JobSpec
    variants: tuple[str, ...]
    facts: ModelFacts | None = None
    longest: int = 0

    def rows(self, data: str) -> Rows:
        """Of the file `data`, or those that the run held out: nobody has counted them."""
        from tunesmith.recipes.planner import ASSUMED

        known = {} if data or not self.longest else {"longest": self.longest, "mean": min(ASSUMED.mean, self.longest)}
        return msgspec.structs.replace(ASSUMED, **known)


async def evaluable(client: JobClient, home: Home, job_id: int) -> Evaluable:
    """The run that is meant by `job_id`. Raises JobError, ModelError, RecipeError where nothing of it can be asked."""
    run = await trained(client, job_id)
    later = [one for one in await client.jobs() if one.of == run.id and one.task == EXPORT]
    return await asyncio.to_thread(look, home, run, later)


def look(home: Home, run: JobView, later: Sequence[JobView] = ()) -> Evaluable:
    """`later` are jobs that exported the run again. Raises ModelError, RecipeError."""
    from tunesmith.daemon.api import model_facts

    recipe = load(artifacts(run) / RECIPE)
    if not again.is_left(artifacts(run), BENCHMARK):
        raise again.nothing_left(artifacts(run))
    return Evaluable(
        run,
        recipe,
        tuple(dict.fromkeys(can_be_asked(one.key for view in (run, *later) for one in view.artifacts))),
        model_facts.quiet(home, recipe.model.source, source.preferred(os.environ)),
        max((checked.longest for checked in run.data), default=0),
    )


def benchmarks(run: JobView, asked: BenchmarkSpec, fail_if: str | None) -> JobSpec:
    """Each suite once, files as they are named where one stands. Raises RecipeError, ModelError."""
    chosen = tuple(dict.fromkeys(suites.located(name, Path.cwd()) for name in asked.suites))
    return again.benchmarking(artifacts(run), msgspec.structs.replace(asked, suites=chosen), fail_if)


def on_rows(run: JobView, data: str | None, scores: Sequence[str] | None, fail_if: str | None) -> JobSpec:
    """On the file `data`, or on the rows that the run held out; without `scores` its own. Raises RecipeError,
    ModelError.
    """
    found = None if scores is None else tuple(evals.located(score, Path.cwd()) for score in scores)
    return again.evaluating(artifacts(run), absolute(data), found, fail_if)


def look_at_files(spec: JobSpec) -> None:
    """Whether what a person named lies there, as the daemon looks too. Raises DataError, RecipeError."""
    from tunesmith.recipes.data.files import sources

    for suite in spec.benchmark.suites if spec.benchmark is not None else ():
        suites.find(suite, None)
    if spec.task == EVALUATE and spec.data.held_out not in (None, STARTER):
        sources.find([Path(str(spec.data.held_out))])


def command(found: Evaluable, spec: JobSpec) -> str:
    """What does the same in a terminal; empty where its options, parted by commas, cannot say it."""
    asked, number, names = spec.benchmark, str(found.run.id), list[str]()
    said: list[str] = []
    if asked is not None:
        number += f":{asked.variant}" if asked.variant else ""
        names = list(asked.suites)
        said += ["--suite", ",".join(names)]
        said += ["--limit", str(asked.limit)] if asked.limit is not None else []
        said += ["--tool", asked.tool] if asked.tool is not None else []
        said += ["--base"] if asked.base else []
    else:
        rows, scores = spec.data.held_out, spec.evaluation.scores
        said += ["--data", str(rows)] if rows != found.recipe.data.held_out else []
        if scores != found.recipe.evaluation.scores:
            names = [score for score in scores if not score.startswith(PATTERN)] or [","] * (not scores)
            said += [word for score in scores for word in ("--scores", score)]
    if spec.evaluation.fail_if is not None:
        said += ["--fail-if", spec.evaluation.fail_if]
    return "" if any("," in name for name in names) else shlex.join(["tunesmith", "eval", number, *said])
