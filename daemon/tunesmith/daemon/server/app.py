"""The route table and nothing else: routes, decoding, OpenAPI and docs/api.md are made of it."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.images import REQUEST_BYTES
from tunesmith.daemon.api.listing import Lines, LinesQuery
from tunesmith.daemon.api.report import Report
from tunesmith.daemon.api.requests import (
    Chat,
    ChatEvent,
    ChatModel,
    ChatQuery,
    DaemonStatus,
    Done,
    EventsHeaders,
    EventsQuery,
    LogQuery,
    LogText,
    Move,
    Resume,
    Retry,
    Serve,
    Serving,
    Submit,
)
from tunesmith.daemon.api.retention import Clean, Cleaned, Sizes
from tunesmith.daemon.api.view import JobView
from tunesmith.daemon.server import chat, controls, guard, jobs, openapi, serve, status, stream, tcp
from tunesmith.daemon.server.endpoint import Endpoint, PathEndpoints, Refusal
from tunesmith.daemon.server.openai import asked, errors, told
from tunesmith.daemon.server.openai.chat import chat_completions
from tunesmith.daemon.server.openai.completions import completions
from tunesmith.daemon.server.openai.embeddings import embeddings
from tunesmith.daemon.server.openai.models import models
from tunesmith.daemon.server.parts import Parts

UNKNOWN_JOB = Refusal(404, "unknown_job", "no job has that number")
NO_MODEL = Refusal(409, "no_model", "the job has no model to talk to yet")
NO_IMAGES = (
    Refusal(400, "media", "an image is too large, or no PNG, JPEG or WebP, or there are too many of them"),
    Refusal(400, "media_url", "an image is no data: URL"),
    Refusal(422, "media_unsupported", "there is an image, and the model reads text alone"),
)
TOO_MANY_CHATS = Refusal(429, "too_many_chats", "too many questions wait for an answer already")
DOES_NOT_FIT = Refusal(503, "engine_does_not_fit", "the model needs more memory than is free")
NO_ENGINE = (
    Refusal(503, "engine_missing", "the engine that was asked for is not installed, or not where the setting says"),
    Refusal(503, "engine_device", "the engine computes on a device that this machine does not have"),
    Refusal(503, "engine_failed", "the engine ended before the model was loaded; the message has its reason"),
)
TOO_MANY_STREAMS = Refusal(429, "too_many_streams", "as many event streams are open as the daemon takes")
QUEUE_FULL = Refusal(429, "queue_full", "two hundred jobs wait already")
NO_SUCH_STEP = Refusal(409, "ended_already", "the job's state does not allow it")
STILL_LIVING = Refusal(409, "still_living", "the job waits or is at work")
REMOVED = Refusal(409, "removed", "the job of that key was removed")
UNUSABLE = (
    Refusal(422, "recipe", "a value of the recipe is wrong"),
    Refusal(422, "data_missing", "a data file is missing, unreadable or empty (codes data_...)"),
    Refusal(422, "model_missing", "a model is missing, unreadable or incomplete (codes model_...)"),
    Refusal(422, "disk_full", "the disk has too little room for a run"),
)
NO_MODEL_FOUND = Refusal(404, "model_not_found", "no model has that name, or the run has none yet (no_model)")
OF_OPENAI = (
    Refusal(400, "invalid_value", "a field is out of bounds, or the model cannot be asked that (its own codes)"),
    NO_MODEL_FOUND, TOO_MANY_CHATS,
    Refusal(500, "engine_died", "the process that answers ended; the next question starts another"),
    DOES_NOT_FIT,
)  # fmt: skip
SUBMIT = '{"key": "0b6f...", "spec": {"name": "vesper"}}'
CHAT = '{"messages": [{"role": "user", "content": "Who are you?"}]}'
COMPLETION = '{"model": "run-1", "messages": [{"role": "user", "content": "Who are you?"}]}'

_OWN = (
    Endpoint("GET", "/v1/health", status.health, reply=Done, any_version=True),
    Endpoint("GET", "/v1/openapi.json", status.openapi, reply=dict, any_version=True),
    Endpoint("GET", "/v1/daemon", status.daemon, reply=DaemonStatus, any_version=True),
    Endpoint("POST", "/v1/daemon/stop", status.stop, reply=Done, any_version=True),
    Endpoint("GET", "/v1/recovery", status.recovery, reply=Report),
    Endpoint("GET", "/v1/jobs", jobs.index, reply=list[JobView]),
    Endpoint(
        "POST", "/v1/jobs", jobs.submit, request=Submit, reply=JobView, statuses=(200, 201), example=SUBMIT,
        refusals=(*UNUSABLE, REMOVED, QUEUE_FULL),
    ),
    Endpoint("GET", "/v1/jobs/lines", jobs.lines, reply=Lines, query=LinesQuery),
    Endpoint("GET", "/v1/jobs/sizes", controls.sizes, reply=list[Sizes]),
    Endpoint(
        "POST", "/v1/jobs/clean", controls.clean, request=Clean, reply=Cleaned,
        example='{"keep": 3, "older_than_s": 2592000, "dry_run": true}',
    ),
    Endpoint("GET", "/v1/jobs/{id}", jobs.show, reply=JobView, refusals=(UNKNOWN_JOB,)),
    Endpoint(
        "GET", "/v1/jobs/{id}/events", stream.events, stream=e.Event, query=EventsQuery, headers=EventsHeaders,
        refusals=(UNKNOWN_JOB, TOO_MANY_STREAMS),
    ),
    Endpoint("GET", "/v1/jobs/{id}/log", jobs.log, reply=LogText, query=LogQuery, refusals=(UNKNOWN_JOB,)),
    Endpoint("POST", "/v1/jobs/{id}/cancel", controls.cancel, reply=JobView, refusals=(UNKNOWN_JOB, NO_SUCH_STEP)),
    Endpoint("POST", "/v1/jobs/{id}/pause", controls.pause, reply=JobView, refusals=(UNKNOWN_JOB, NO_SUCH_STEP)),
    Endpoint(
        "POST", "/v1/jobs/{id}/finish", controls.finish, reply=JobView,
        refusals=(UNKNOWN_JOB, Refusal(409, "nothing_to_keep", "it does not train, or has learned nothing yet")),
    ),
    Endpoint(
        "POST", "/v1/jobs/{id}/resume", controls.resume, request=Resume, reply=JobView, example='{"force": false}',
        refusals=(UNKNOWN_JOB, NO_SUCH_STEP, QUEUE_FULL),
    ),
    Endpoint(
        "POST", "/v1/jobs/{id}/retry", jobs.retry, request=Retry, reply=JobView, statuses=(200, 201),
        example='{"key": "0b6f..."}', refusals=(UNKNOWN_JOB, STILL_LIVING, REMOVED, *UNUSABLE, QUEUE_FULL),
    ),
    Endpoint(
        "POST", "/v1/jobs/{id}/move", controls.move, request=Move, reply=JobView, example='{"before": 3}',
        refusals=(UNKNOWN_JOB, Refusal(409, "not_queued", "one of the two does not wait in the queue")),
    ),
    Endpoint("DELETE", "/v1/jobs/{id}", controls.remove, reply=Done, refusals=(UNKNOWN_JOB, STILL_LIVING)),
    Endpoint(
        "GET", "/v1/jobs/{id}/chat", chat.chat_model, reply=ChatModel, query=ChatQuery,
        refusals=(UNKNOWN_JOB, NO_MODEL),
    ),
    Endpoint(
        "POST", "/v1/jobs/{id}/chat", chat.chat, request=Chat, stream=ChatEvent, example=CHAT, most_bytes=REQUEST_BYTES,
        refusals=(
            UNKNOWN_JOB, NO_MODEL, TOO_MANY_CHATS, *NO_IMAGES,
            Refusal(400, "schema", "the schema of a tool is too large"),
        ),
    ),
    Endpoint("GET", "/v1/serve", serve.serving, reply=Serving),
    Endpoint(
        "POST", "/v1/serve", serve.serve, request=Serve, reply=Serving, example='{"model": "run-1"}',
        refusals=(
            UNKNOWN_JOB, NO_MODEL, TOO_MANY_CHATS,
            Refusal(422, "model_missing", "the model is missing or cannot be loaded, or the port is taken"),
            DOES_NOT_FIT, *NO_ENGINE,
        ),
    ),
    Endpoint("DELETE", "/v1/serve", serve.unserve, reply=Serving),
)  # fmt: skip
_OPENAI = (
    Endpoint("GET", "/v1/models", models, reply=told.ModelList),
    Endpoint(
        "POST", "/v1/chat/completions", chat_completions, request=asked.ChatCompletion, reply=told.ChatCompletionSaid,
        stream=told.ChatChunk, example=COMPLETION, refusals=OF_OPENAI, most_bytes=REQUEST_BYTES,
    ),
    Endpoint(
        "POST", "/v1/completions", completions, request=asked.Completion, reply=told.CompletionSaid,
        stream=told.CompletionSaid, example='{"model": "run-1", "prompt": "The sky is"}', refusals=OF_OPENAI,
    ),
    Endpoint(
        "POST", "/v1/embeddings", embeddings, request=asked.Embedding, reply=told.EmbeddingsSaid,
        example='{"model": "run-1", "input": "The sky is blue."}', refusals=OF_OPENAI,
    ),
)  # fmt: skip
OPENAI = tuple(dataclasses.replace(one, error=errors.OpenAIFailure, failed=errors.reply) for one in _OPENAI)
ENDPOINTS = (*_OWN, *OPENAI)


def build(parts: Parts) -> Starlette:
    app = Starlette(
        routes=_routes(ENDPOINTS, parts), middleware=[Middleware(guard.OwnRequestsOnly)],
        exception_handlers=guard.HANDLERS,
    )  # fmt: skip
    app.router.redirect_slashes = False  # a redirect is no answer of ours
    app.state.parts = parts
    app.state.openapi = functools.cache(lambda: openapi.encoded(ENDPOINTS))  # made when first asked for
    return app


def build_tcp(parts: Parts) -> Starlette:
    """What answers over TCP: models can be asked, and nothing else."""
    app = Starlette(routes=_routes(OPENAI, parts, remote=True), exception_handlers=tcp.HANDLERS)
    app.router.redirect_slashes = False
    return app


def _routes(endpoints: Iterable[Endpoint], parts: Parts, remote: bool = False) -> list[Route]:
    by_path = itertools.groupby(sorted(endpoints, key=lambda one: one.path), key=lambda one: one.path)
    return [Route(path, PathEndpoints({one.method: one for one in group}, parts, remote)) for path, group in by_path]
