"""A benchmark's stages in a real worker's context, over a real daemon: a tool in the real ones' place, a toy model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import suite_tools
from daemon_process import DaemonProcess

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import gate
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.suites import fetch, run
from tunesmith.recipes.errors import DataError, EvaluationError, JobError, ModelError
from tunesmith.recipes.spec import BenchmarkSpec, EvaluationSpec, JobSpec


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return suite_tools.put_in_place(monkeypatch, tmp_path)


async def context_of(daemon: DaemonProcess, **asked: Any) -> Context:
    """Of a benchmark of run 1, which has a model."""
    trained = await daemon.submit()
    await daemon.until(trained.id, "finished")
    artifacts = daemon.home.job(trained.id) / "artifacts"
    artifacts.mkdir(exist_ok=True)
    (artifacts / "model-f16.gguf").write_bytes(b"GGUF")
    job = daemon.home.job(2)
    (job / "base").mkdir(parents=True)
    (job / "base" / "config.json").write_text('{"max_position_embeddings": 512}')
    evaluation = EvaluationSpec(fail_if=asked.pop("fail_if", None))
    spec = JobSpec(task="benchmark", of=str(artifacts), benchmark=BenchmarkSpec(**asked), evaluation=evaluation)
    (job / "spec.json").write_bytes(msgspec.json.encode(spec))
    (job / "submitted.json").write_bytes(
        b'{"rows":null,"key":"k","hub":"","offline":false,"format":"tunesmith-submitted","version":1}'
    )
    context = Context(job, 1)
    context.show_base(job / "base")
    return context


async def through(context: Context) -> list[e.Event]:
    """What is told of both stages."""
    for stage, work in (("fetch", (fetch.run,)), ("evaluate", (run.run, gate.run))):
        context.begin(stage)
        for part in work:
            await asyncio.to_thread(part, context)
        context.end()
    return [e.decode(line) for line in (context.job / "journal-1.jsonl").read_bytes().splitlines()]


async def test_a_suite_is_asked_for_through_the_daemon_and_its_figure_is_told(
    daemon: DaemonProcess, installed: list[str]
) -> None:
    context = await context_of(daemon, suites=("hellaswag", "arc"), limit=20, tool="lm-eval", variant="f16")
    events = await through(context)
    figures = [event for event in events if isinstance(event, e.Benchmarked)]
    assert [(one.suite, one.subject, one.model, one.metric) for one in figures] == [
        ("hellaswag", "tuned", "run-1:f16", "acc_norm"),
        ("arc", "tuned", "run-1:f16", "acc_norm"),
    ]
    assert figures[0].questions == 20 and figures[0].figure.value == 1.0 and figures[0].title == "HellaSwag"
    assert set(installed) == {"lm-eval"}
    refused = [event.text for event in events if isinstance(event, e.Notice)]
    assert len(refused) == 2 and "1 questions of HellaSwag were refused" in refused[0] and "colour" in refused[0]
    assert [one.refused for one in figures] == [1, 1]
    last = [event for event in events if isinstance(event, e.StageProgress)][-1]
    assert (last.done, last.total, last.unit, last.note) == (8, 8, "requests", "ARC, tuned")


async def test_the_tool_gets_a_token_in_its_environment_and_no_proxy_for_the_loopback(
    daemon: DaemonProcess, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")  # as every worker has it, for its libraries
    monkeypatch.setenv("no_proxy", "intranet")
    context = await context_of(daemon, suites=("arc",))
    await through(context)
    folder = context.work / "suite-arc-tuned"
    request, environment = (json.loads((folder / f"{name}.json").read_text()) for name in ("request", "environment"))
    assert environment["OPENAI_API_KEY"] not in (folder / "request.json").read_text()
    assert environment["no_proxy"] == "intranet,127.0.0.1,localhost" and "HF_DATASETS_OFFLINE" not in environment
    assert (request["context"], request["endpoint"], request["offline"]) == (512, "completions", False)
    assert run.settings("token", True)["HF_DATASETS_OFFLINE"] == "1"


async def test_questions_that_cannot_be_fetched_and_models_that_are_not_there_are_told(
    daemon: DaemonProcess, installed: list[str]
) -> None:
    context = await context_of(daemon, suites=("arc",), limit=99)
    with pytest.raises(DataError) as caught:
        await through(context)
    assert caught.value.code == "suite_data" and "Max retries exceeded" in caught.value.message
    context.spec = msgspec.structs.replace(context.spec, benchmark=BenchmarkSpec(suites=("arc",), variant="q4_k_m"))
    with pytest.raises(ModelError, match="run-1:q4_k_m does not answer: Job 1 has no q4_k_m"):
        await through(context)
    context.spec = msgspec.structs.replace(context.spec, of="/elsewhere/artifacts")
    with pytest.raises(JobError, match="not one of this Tunesmith's"):
        await through(context)


async def test_a_gate_of_its_own_is_asked_about_both_models(daemon: DaemonProcess, installed: list[str]) -> None:
    gated = "arc < before.arc - 0.02 or arc < 0.5"
    context = await context_of(daemon, suites=("arc",), base=True, variant="f16", fail_if=gated)
    (daemon.home.job(1) / "base.txt").write_text(str(context.base))
    held = [event.text for event in await through(context) if isinstance(event, e.Notice) and event.code == "gate_held"]
    assert held == [f"The gate held: it is not so that {gated} (arc is 1, before.arc is 1)."]
    evaluation = EvaluationSpec(fail_if="arc >= before.arc")
    context.spec = msgspec.structs.replace(context.spec, evaluation=evaluation)
    with pytest.raises(EvaluationError) as caught:
        await through(context)
    assert caught.value.code == "gate_failed" and "The run that was evaluated is as it was" in caught.value.message
