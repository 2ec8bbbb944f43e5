"""The route table and nothing else: routes, decoding, OpenAPI and docs/api.md are made of it."""

from __future__ import annotations

import functools
import itertools

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.listing import Lines, LinesQuery
from tunesmith.daemon.api.report import Report
from tunesmith.daemon.api.requests import (
    Chat,
    ChatEvent,
    DaemonStatus,
    Done,
    EventsHeaders,
    EventsQuery,
    LogQuery,
    LogText,
    Move,
    Resume,
    Retry,
    Submit,
)
from tunesmith.daemon.api.retention import Clean, Cleaned, Sizes
from tunesmith.daemon.api.view import JobView
from tunesmith.daemon.server import chat_route, controls, guard, jobs, openapi, status, stream
from tunesmith.daemon.server.endpoint import Endpoint, PathEndpoints, Refusal
from tunesmith.daemon.server.parts import Parts

UNKNOWN_JOB = Refusal(404, "unknown_job", "no job has that number")
NO_MODEL = Refusal(409, "no_model", "the job has no model to talk to yet")
TOO_MANY_CHATS = Refusal(429, "too_many_chats", "eight questions wait for an answer already")
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
SUBMIT = '{"key": "0b6f...", "spec": {"name": "vesper"}}'
CHAT = '{"messages": [{"role": "user", "content": "Who are you?"}]}'

ENDPOINTS = (
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
        "POST", "/v1/jobs/{id}/chat", chat_route.chat, request=Chat, stream=ChatEvent, example=CHAT,
        refusals=(UNKNOWN_JOB, NO_MODEL, TOO_MANY_CHATS),
    ),
)  # fmt: skip


def build(parts: Parts) -> Starlette:
    by_path = itertools.groupby(sorted(ENDPOINTS, key=lambda one: one.path), key=lambda one: one.path)
    routes = [Route(path, PathEndpoints({one.method: one for one in group}, parts)) for path, group in by_path]
    app = Starlette(
        routes=routes, middleware=[Middleware(guard.OwnRequestsOnly)], exception_handlers=guard.HANDLERS
    )  # fmt: skip
    app.router.redirect_slashes = False  # a redirect is no answer of ours
    app.state.parts = parts
    app.state.openapi = functools.cache(lambda: openapi.encoded(ENDPOINTS))  # made when first asked for
    return app
