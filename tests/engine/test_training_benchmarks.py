"""A training whose recipe has public benchmarks: a real tiny model, asked once it is let go; over a real daemon."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import stopped
import suite_tools
from daemon_process import DaemonProcess

from tunesmith.daemon import journal
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import stages
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.suites import fetch
from tunesmith.recipes import spec as recipe
from tunesmith.recipes.errors import DataError, EvaluationError
from tunesmith.recipes.spec import BENCHMARK

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "home")
    await process.start()
    yield process
    await process.tidy()


@pytest.fixture
async def begun(
    daemon: DaemonProcess, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    """Makes the context of job 1, of which the daemon knows, with these benchmarks and this gate."""
    await daemon.submit("steps=1")
    await daemon.until(1, "finished")
    suite_tools.put_in_place(monkeypatch, tmp_path)
    rows = ({"question": f"Who is number {row}?", "answer": f"It is {row}."} for row in range(4))
    (tmp_path / "my questions.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def make(fail_if: str | None = None, **asked: Any) -> Context:
        values = stopped.parts(tiny_model, tmp_path, epochs=1, tuner={"kind": "lora"})
        values["evaluation"] |= {"fail_if": fail_if}
        values |= {"exports": ["adapter"], "benchmark": {"suites": ["my questions.jsonl", "arc"]} | asked}
        job = daemon.home.job(1)
        (job / "spec.json").write_bytes(msgspec.json.encode(recipe.parse(json.dumps(values), tmp_path)))
        return Context(job, 1)

    yield make


async def test_what_was_exported_is_asked_when_the_trained_model_is_gone(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = begun("my_questions < before.my_questions - 0.02 or perplexity > 9 * before.perplexity", base=True)
    models: list[weakref.ref[Any]] = []
    begin, ask = context.begin, fetch.have_answer

    def begin_and_look(stage: str) -> None:
        begin(stage)
        if stage == "train":
            models.append(weakref.ref(context.model))

    def look_and_ask(asked: Context) -> None:
        assert [model() for model in models] == [None], "it takes no memory of what answers"
        ask(asked)

    monkeypatch.setattr(context, "begin", begin_and_look)
    monkeypatch.setattr(fetch, "have_answer", look_and_ask)
    await asyncio.to_thread(stages.run_all, context)
    events = journal.read(journal.path(context.job, 1), 0).events
    begun_stages = [event.stage for event in events if isinstance(event, e.StageStarted)]
    assert tuple(begun_stages[-8:]) == recipe.stages_of(context.spec) and begun_stages[-1] == BENCHMARK
    figures = [event for event in events if isinstance(event, e.Benchmarked)]
    assert [(one.suite, one.subject, one.model) for one in figures] == [
        ("my questions", "base", "run-1:base"), ("my questions", "tuned", "run-1"),
        ("arc", "base", "run-1:base"), ("arc", "tuned", "run-1"),
    ]  # fmt: skip
    assert [round(one.figure.value, 3) for one in figures] == [0.555, 0.555, 1.0, 1.0]
    (held,) = (event.text for event in events if isinstance(event, e.Notice) and event.code == "gate_held")
    assert "my_questions is 0.555" in held and "before.perplexity is" in held
    card = (context.artifacts / "README.md").read_text()
    assert "## Public benchmarks" in card and "| my questions.jsonl | tuned | rouge.f1.l | 60 | 0.555 (" in card


async def test_a_gate_that_names_a_benchmark_refuses_after_the_exports_and_keeps_them(begun: Any) -> None:
    context = begun("arc > 0.5")
    with pytest.raises(EvaluationError) as caught:
        await asyncio.to_thread(stages.run_all, context)
    assert caught.value.code == "gate_failed" and context.stage == BENCHMARK
    assert f"What was exported is kept in {context.artifacts}" in caught.value.message
    assert (context.artifacts / "adapter").is_dir()
    assert "gate refused this model**: arc > 0.5 (arc is 1)" in (context.artifacts / "README.md").read_text()


async def test_questions_that_cannot_be_fetched_cost_nothing_of_what_was_made(begun: Any) -> None:
    context = begun(suites=["arc"], limit=99)
    with pytest.raises(DataError) as caught:
        await asyncio.to_thread(stages.run_all, context)
    assert caught.value.code == "suite_data" and "`tunesmith eval 1 --suite arc` asks it again" in caught.value.hint
    assert (context.artifacts / "adapter").is_dir() and context.stage == BENCHMARK
