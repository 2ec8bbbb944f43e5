"""What a benchmark needs, before hours of it: the tools in their environments, and a model that answers."""

from __future__ import annotations

from tunesmith.daemon import job_folder
from tunesmith.daemon.worker import environments
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.export_needs import told
from tunesmith.daemon.worker.suites import relay
from tunesmith.recipes import suites
from tunesmith.recipes.errors import JobError, ModelError
from tunesmith.recipes.spec import BENCHMARK, TRAIN, BenchmarkSpec
from tunesmith.recipes.words import of_subject, say

FIRST = b'{"model":"%s","prompt":"Hello","max_tokens":1}'


def run(context: Context) -> None:
    """Raises MachineError for a tool that cannot be installed, ModelError for a model that does not answer.

    What a training will have made is asked once it is there.
    """
    spec = context.spec.benchmark
    if spec is None:
        return
    for key in sorted({suites.check(suite, spec.tool) for suite in spec.suites}):
        tool = environments.TOOLS[key]
        with environments.opened(tool, context.home, lambda what: told(context, what), context.check_cancelled):
            pass
    if context.spec.task == BENCHMARK:
        have_answer(context)
    for suite in spec.suites:
        chosen = suites.find(suite, spec.tool)
        if chosen.own_code:
            english = "The suite {path} runs Python code of its own, with all your rights."
            context.notice("info", say("own_suite", english, path=chosen.file))


def have_answer(context: Context) -> None:
    """Raises ModelError for a model that does not answer."""
    for subject, model in models(context).items():
        context.progress(0, 1, "files", of_subject(subject))
        status, body = relay.asked(context.home.socket, "/v1/completions", FIRST % model.encode())
        if status != 200:
            said = relay.refusal(status, body)
            hint = f"Ask it yourself: `tunesmith chat {model.removeprefix('run-').partition(':')[0]}`."
            raise ModelError(f"{model} does not answer: {said.message}", hint, said.code)


def asked_for(context: Context) -> BenchmarkSpec:
    assert context.spec.benchmark is not None  # checks.check_values
    return context.spec.benchmark


def models(context: Context) -> dict[str, str]:
    """What the daemon calls each model that is measured. Raises JobError where the run is not of this home."""
    if context.spec.task == TRAIN:
        number: int | None = int(context.job.name)
    else:
        number = job_folder.begins_with(context.home, context.spec)
    if number is None:
        raise JobError(
            f"The run in {context.spec.of} is not one of this Tunesmith's",
            "Benchmarks ask the model through the daemon that has it: give a run of `tunesmith jobs list`.",
            "unknown_job",
        )
    spec = asked_for(context)
    tuned = f"run-{number}:{spec.variant}" if spec.variant else f"run-{number}"
    return ({"base": f"run-{number}:base"} if spec.base else {}) | {"tuned": tuned}
