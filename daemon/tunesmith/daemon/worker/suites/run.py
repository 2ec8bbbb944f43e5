"""The evaluate stage of a benchmark: each suite is run by its tool against our server, and its figure told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tunesmith.daemon import submitted
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import offline
from tunesmith.daemon.serving.engines import CONTEXT, SLOTS
from tunesmith.daemon.worker import environments, export, hub_model, scores
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.environments import Environment
from tunesmith.daemon.worker.environments.installing import version_in
from tunesmith.daemon.worker.suites import fetch, inside, relay, results
from tunesmith.daemon.worker.suites.output import Output
from tunesmith.daemon.worker.suites.relay import Relay
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes import suites
from tunesmith.recipes.errors import EvaluationError, TunesmithError
from tunesmith.recipes.models import headers
from tunesmith.recipes.spec import TRAIN
from tunesmith.recipes.suites import EVALSCOPE, Chosen
from tunesmith.recipes.words import of_subject, say

PACKAGES = {"lm-eval": "lm_eval", "evalscope": "evalscope"}
BARS_EVERY_S = "2"
LOOPBACK = "127.0.0.1,localhost"
LETTER = "{question}\n\n{choices}\n\nAnswer with nothing but the letter of the right one: {letters}."


def run(context: Context) -> None:
    """Raises DataError, EvaluationError, MachineError; after a training ModelError too."""
    with kept_all_the_same(context):
        if context.spec.task == TRAIN:
            fetch.have_answer(context)
        ask_all(context)
    if context.spec.task == TRAIN:
        export.describe(context)


def ask_all(context: Context) -> None:
    spec, models = fetch.asked_for(context), fetch.models(context)
    takes = [(text, suites.find(text, spec.tool), subject) for text in spec.suites for subject in models]
    pace = Pace(context, len(takes))
    with relay.opened(context.home.socket) as server:
        for text, suite, subject in takes:
            pace.note = say("suite_of", "{suite}, {subject}", suite=suite.title, subject=of_subject(subject))
            pace.told(0, 0)
            tool = environments.TOOLS[suite.tool]
            with environments.opened(tool, context.home, pace.say, context.check_cancelled) as environment:
                found = taken(context, environment, server, suite, subject, models[subject], pace)
            context.emit(found)
            context.benchmarks += (found,)
            scores.remember(context, subject, **{suites.name_of(text): found.figure.value})
            pace.next()


@contextmanager
def kept_all_the_same(context: Context) -> Iterator[None]:
    """After a training, what fails in here costs nothing that was made: the error says how to ask again."""
    try:
        yield
    except TunesmithError as error:
        if context.spec.task == TRAIN:
            again = f"tunesmith eval {context.job.name} --suite {','.join(fetch.asked_for(context).suites)}"
            error.hint = f"{error.hint} What was exported is whole; `{again}` asks it again.".strip()
        raise


class Pace:
    """All requests; a suite that has not said yet how many it has is counted as the one before."""

    def __init__(self, context: Context, suites: int) -> None:
        self._context = context
        self._left = suites
        self._before = self._total = 0
        self.note = ""

    def told(self, done: int, total: int) -> None:
        """Of the suite that runs. Raises Stopped."""
        self._total = total or self._total
        self._context.progress(
            self._before + done, max(1, self._before + self._total * self._left), "requests", self.note
        )

    def say(self, what: str) -> None:
        self._context.progress(self._before, max(1, self._before + self._total * self._left), "requests", what)

    def next(self) -> None:
        self._before += self._total
        self._left -= 1


def taken(
    context: Context, environment: Environment, server: Relay, suite: Chosen, subject: str, model: str, pace: Pace
) -> e.Benchmarked:
    folder = context.work / f"suite-{suite.key}-{subject}"
    folder.mkdir(parents=True, exist_ok=True)
    no_network = submitted.read(context.job).offline or offline.VARIABLE in os.environ
    request = folder / "request.json"
    request.write_bytes(msgspec.json.encode(asked(context, folder, server, suite, model, no_network)))
    output = Output(folder / "output.log")
    server.begin()

    def look() -> None:
        output.look()
        pace.told(output.done, output.total)

    with output.path.open("a", encoding="utf-8") as out:
        try:
            command = environment.python(inside.__file__, str(request))
            run_watched(command, folder, look, out=out, environment=settings(server.token, no_network))
        except TunesmithError as error:
            output.look()
            raise output.why(suite.title, suite.tool, server.refusal) from error
    look()
    if output.not_scored:
        raise EvaluationError(
            f"{suite.tool} could not score answers of {suite.title}: {output.not_scored}",
            "What it printed is in the log: `tunesmith jobs logs RUN`.",
            "suite_failed",
        )
    said = msgspec.json.decode((folder / inside.RESULT).read_bytes())
    found = results.READ[suite.tool](said, suite.way.name, suite.way.metric)
    refused = max(server.refused, found.unanswered)
    if refused:
        english = "{count} questions of {suite} were refused by the server and count as wrong: {why}"
        why = server.refusal.message if server.refusal is not None else ""
        context.notice("warning", say("questions_refused", english, count=refused, suite=suite.title, why=why))
    return e.Benchmarked(
        time=time.time(),
        suite=suite.key,
        title=suite.title,
        subject=subject,
        model=model,
        tool=f"{suite.tool} {version_in(environment.folder, PACKAGES[suite.tool])}",
        metric=found.metric,
        questions=found.questions,
        figure=found.figure,
        standard_error=found.error,
        refused=refused,
        parts=found.parts,
        own_code=suite.file if suite.own_code else "",
    )


def asked(
    context: Context, folder: Path, server: Relay, suite: Chosen, model: str, no_network: bool
) -> Mapping[str, object]:
    """What `inside` is told. The token is not in it: that is in the environment."""
    trained_on = headers.config_of(context.base).get("max_position_embeddings")
    return {
        "tool": suite.tool,
        "name": suite.way.name,
        "endpoint": suite.way.endpoint,
        "file": suite.file if suite.tool != EVALSCOPE else "",
        "arguments": arguments(suite),
        "own_code": suite.own_code,
        "limit": fetch.asked_for(context).limit,
        "model": model,
        "url": server.url,
        "at_once": SLOTS,
        "context": min(CONTEXT, trained_on) if isinstance(trained_on, int) else CONTEXT,
        "tokenizer": str(context.base),
        "folder": str(folder),
        "offline": no_network,
    }


def arguments(suite: Chosen) -> Mapping[str, object]:
    """EvalScope's, for a file of questions."""
    if suite.tool != EVALSCOPE or not suite.file:
        return {}
    how: dict[str, object] = {"local_path": suite.file, "subset_list": [Path(suite.file).stem]}
    return how | ({"prompt_template": LETTER} if suite.way.name == "general_mcq" else {"metric_list": ["Rouge"]})


def settings(token: str, no_network: bool) -> dict[str, str]:
    """The person's own, with what fetches data sets let loose where they allow it; loopback never asks a proxy."""
    kept = {key: value for key, value in os.environ.items() if no_network or not key.endswith("_OFFLINE")}
    quiet = {key: value for key, value in hub_model.QUIET.items() if no_network or not key.endswith("_OFFLINE")}
    beside = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), LOOPBACK)))
    bars = {"TQDM_MININTERVAL": BARS_EVERY_S, "no_proxy": beside, "NO_PROXY": beside}
    return kept | quiet | bars | {inside.KEY: token}
