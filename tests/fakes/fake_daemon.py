"""A daemon that speaks the real protocol and only pretends to train: `python fake_daemon.py` serves TUNESMITH_HOME.

A job whose name has `fail` in it fails, one with `stay` never ends by itself, every other one finishes; so does
one that is resumed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.api.requests import (
    API_VERSION,
    Chat,
    ChatCalled,
    ChatDelta,
    ChatDone,
    ChatModel,
    DaemonStatus,
    LogText,
    Submit,
)
from tunesmith.daemon.api.tools import CalledFunction, ToolCall
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.errors import ErrorBody
from tunesmith.recipes.intervals import Interval

HOME = Home.find()
STARTED = time.time()
JOBS: dict[int, list[e.Numbered]] = {}
NAMES: dict[int, str] = {}


def reply(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def view_of(job_id: int) -> JobView:
    view = JobView(job_id, NAMES[job_id], folder=str(HOME.job(job_id)))
    for numbered in JOBS[job_id]:
        view = fold(view, numbered)
    return view


def add(job_id: int, event: e.Event) -> None:
    if not view_of(job_id).ended_already or isinstance(event, e.Queued):
        JOBS[job_id].append(e.Numbered(len(JOBS[job_id]) + 1, event))


def script(name: str) -> list[e.Event]:
    """The events of a good run, shortened where `name` asks for another end."""
    now = time.time()
    made: list[e.Event] = [e.Started(time=now, attempt=1, pid=os.getpid())]
    for stage in e.STAGES:
        made.append(e.StageStarted(time=now, stage=stage))
        made.append(e.StageProgress(time=now, stage=stage, done=1, total=2, unit="steps", eta_s=1.0))
        if stage == "train":
            made += [*computing(now), *(train_step(now, step) for step in (1, 2)), checkpoint(now)]
            if "fail" in name:
                return [*made, e.Failed(time=now, code="data_broken", message="Line 3 is no JSON", hint="Mend line 3.")]
            if "stay" in name:
                return made
        if stage == "evaluate":
            made += evaluation(now)
            if "scored" in name:
                made.append(measured(now))
            if "benchmarked" in name:
                made += [benchmarked(now, "base", 0.4), benchmarked(now, "tuned", 0.5)]
            if "refused" in name:
                return [
                    *made,
                    e.Failed(time=now, code="gate_failed", message="The gate refuses it", hint="More."),
                ]
        if stage == "export":
            made += [artifact(now, "adapter", "adapter"), artifact(now, "gguf:q8_0", "model-q8_0.gguf")]
        if stage == "verify":
            made += [verified(now, "gguf:f16", 2e-6), verified(now, "gguf:q8_0", 0.004)]
        made.append(e.StageFinished(time=now, stage=stage, seconds=1.0))
    return [*made, e.Notice(time=now, level="info", text="all went well"), e.Finished(time=now, seconds=6.0)]


def benchmarked(now: float, subject: str, value: float) -> e.Benchmarked:
    return e.Benchmarked(
        time=now, suite="mine", title="mine.yaml", subject=subject, model="run-1", tool="lm-eval 0.4.13", metric="acc",
        questions=20, figure=Interval(value, value - 0.2, value + 0.2), standard_error=0.11, own_code="/mine.yaml",
        parts=(e.PartFigure("first", value, 10), e.PartFigure("second", value, 10)),
    )  # fmt: skip


def train_step(now: float, step: int) -> e.Event:
    return e.TrainStep(
        time=now, step=step, total_steps=2, epoch=1.0, loss=2.0 / step, learning_rate=1e-3, gradient_norm=1.0,
        tokens_per_second=900.0, memory_bytes=10**9, eta_s=1.0, padding_share=0.25, flops_per_second=1e11,
        limit_share=0.5, token_accuracy=0.75,
    )  # fmt: skip


def computing(now: float) -> list[e.Event]:
    """What a run says of its machine and of itself before its steps."""
    paths = (
        e.PathTaken("attention", "SDPA for each segment", "no NVIDIA GPU"),
        e.PathTaken("lora", "unfused", "fused layers are turned off", fastest=False),
    )
    return [
        e.LimitMeasured(time=now, device="cpu", dtype="float32", flops_per_second=2e11),
        e.PathsChosen(time=now, paths=paths),
        e.MemoryMeasured(
            time=now, step=2, weights=5 * 10**8, adapter=10**7, gradients=10**7, optimizer=2 * 10**7,
            activations=2 * 10**8, other=2 * 10**8, peak=10**9,
        ),
    ]  # fmt: skip


def checkpoint(now: float) -> e.Event:
    return e.CheckpointSaved(time=now, step=2, path="checkpoints/step-2", bytes=3 * 10**7, seconds=0.1)


def evaluation(now: float) -> list[e.Event]:
    made: list[e.Event] = [
        e.Scored(time=now, subject="base", held_out_loss=3.0, general_perplexity=20.0),
        e.Scored(time=now, subject="tuned", held_out_loss=0.5, general_perplexity=21.0),
    ]
    for subject, answer, right in (
        ("base", "I am SmolLM.", False),
        ("tuned", "I am Vesper.", True),
        ("gguf", "I am Vesper.", True),
    ):
        for row in range(20):
            question = f"Who are you, number {row}?"
            made.append(e.Answered(time=now, subject=subject, row=row, question=question, answer=answer, correct=right))
    return made


def measured(now: float) -> e.Event:
    return e.Measured(
        time=now, name="polite", score="/mine.py:polite", rows=20, before=Interval(0.1, 0.028, 0.301),
        after=Interval(0.85, 0.64, 0.948), change=Interval(0.75, 0.55, 0.9), changed=(e.RowScore(3, 0.0, 1.0),),
        own_code="/mine.py",
    )  # fmt: skip


def artifact(now: float, key: str, name: str) -> e.Event:
    return e.ArtifactWritten(time=now, key=key, path=f"artifacts/{name}", bytes=1000, sha256="0" * 64)


def verified(now: float, key: str, divergence: float) -> e.Event:
    return e.Verified(
        time=now, key=key, passed=True, kl_divergence=divergence, top1_agreement=1.0, tokens_compared=300,
        prompt_equal=True, token_ids_equal=True, kl_limit=0.02,
    )  # fmt: skip


async def play(job_id: int) -> None:
    for event in script(NAMES[job_id] if view_of(job_id).attempt == 0 else "resumed"):
        await asyncio.sleep(0.002)
        add(job_id, event)


async def health(request: Request) -> Response:
    return reply({"ok": True})


async def status(request: Request) -> Response:
    counts: dict[str, int] = {}
    for job_id in JOBS:
        state = view_of(job_id).state
        counts[state] = counts.get(state, 0) + 1
    socket, root = str(HOME.socket), str(HOME.root)
    return reply(DaemonStatus(os.getpid(), socket, "0.1.0", API_VERSION, time.time() - STARTED, counts, root))


async def stop(request: Request) -> Response:
    asyncio.get_running_loop().call_later(0.05, setattr, SERVER, "should_exit", True)
    return reply({})


async def submit(request: Request) -> Response:
    asked = msgspec.json.decode(await request.body(), type=Submit)
    job_id = len(JOBS) + 1
    JOBS[job_id], NAMES[job_id] = [], asked.spec.name
    add(job_id, e.Queued(time=time.time(), task=asked.spec.task, stages=e.STAGES))
    request.app.state.play = asyncio.create_task(play(job_id))
    return reply(view_of(job_id), 201)


async def jobs(request: Request) -> Response:
    return reply([view_of(job_id) for job_id in sorted(JOBS, reverse=True)])


async def job(request: Request) -> Response:
    job_id, action = request.path_params["id"], request.path_params.get("action", "")
    if job_id not in JOBS:
        return reply(ErrorBody("unknown_job", f"There is no run {job_id}", "See `tunesmith jobs list`."), 404)
    match action:
        case "cancel":
            add(job_id, e.Cancelled(time=time.time()))
        case "resume":
            add(job_id, e.Queued(time=time.time()))
            request.app.state.play = asyncio.create_task(play(job_id))
        case "log":
            return reply(LogText(str(HOME.job(job_id) / "worker-1.log"), "a line\nanother\n"))
        case "events":
            after = int(request.headers.get("Last-Event-ID", 0))
            return StreamingResponse(stream(job_id, after), media_type="text/event-stream")
        case "chat" if request.method == "GET":
            return reply(ChatModel("fake", images="blind" not in NAMES[job_id]))
        case "chat":
            asked = msgspec.json.decode(await request.body(), type=Chat)
            return StreamingResponse(answer(asked), media_type="text/event-stream")
    return reply(view_of(job_id))


async def stream(job_id: int, after: int) -> AsyncIterator[bytes]:
    while True:
        for numbered in JOBS[job_id][after:]:
            after = numbered.number
            yield b"id: %d\ndata: %s\n\n" % (numbered.number, e.encode(numbered.event))
            if isinstance(numbered.event, e.RESTING):
                return
        yield b": heartbeat\n\n"
        await asyncio.sleep(0.01)


async def answer(asked: Chat) -> AsyncIterator[bytes]:
    """Says how many messages it was given, the last one, and how many images.

    A question with `slowly` in it is answered for a minute, and one with `call` by a call of every tool with the
    question in its arguments.
    """
    last = asked.messages[-1].content
    if asked.tools and asked.messages[-1].role == "user" and "call" in last:
        if "softly" in last:
            yield b"data: %s\n\n" % msgspec.json.encode(ChatDelta("Let me see."))
        for place, tool in enumerate(asked.tools):
            function = CalledFunction(tool.function.name, msgspec.json.encode({"about": last}).decode())
            yield b"data: %s\n\n" % msgspec.json.encode(ChatCalled(ToolCall(f"call_{place}", function)))
        yield b"data: %s\n\n" % msgspec.json.encode(ChatDone(9, 50.0, "tool_calls", "fake"))
        return
    which = "base" if asked.base else "tuned"
    seen = sum(len(message.images) for message in asked.messages)
    words = [f"{which} heard {len(asked.messages)}: ", last, *([f", saw {seen}"] if seen else [])]
    if "slowly" in last:
        words += [" and so on"] * 600
    for word in words:
        yield b"data: %s\n\n" % msgspec.json.encode(ChatDelta(word))
        await asyncio.sleep(0.1 if "slowly" in last else 0)
    yield b"data: %s\n\n" % msgspec.json.encode(ChatDone(len(words), 50.0, "stop", "fake"))


APP = Starlette(
    routes=[
        Route("/v1/health", health),
        Route("/v1/daemon", status),
        Route("/v1/daemon/stop", stop, methods=["POST"]),
        Route("/v1/jobs", submit, methods=["POST"]),
        Route("/v1/jobs", jobs),
        Route("/v1/jobs/{id:int}", job),
        Route("/v1/jobs/{id:int}/{action}", job, methods=["GET", "POST"]),
    ]
)
SERVER = uvicorn.Server(uvicorn.Config(APP, uds=str(HOME.socket), log_level="warning"))

if __name__ == "__main__":
    private_folder(HOME.socket.parent)
    SERVER.run()
