"""The route table and nothing else."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Route

from tunesmith.daemon.server import chat_route, guard, jobs, status, stream
from tunesmith.daemon.server.parts import Parts


def build(parts: Parts) -> Starlette:
    app = Starlette(
        routes=[
            Route("/v1/health", status.health),
            Route("/v1/daemon", status.daemon),
            Route("/v1/daemon/stop", status.stop, methods=["POST"]),
            Route("/v1/jobs", jobs.submit, methods=["POST"]),
            Route("/v1/jobs", jobs.index),
            Route("/v1/jobs/{id:int}", jobs.show),
            Route("/v1/jobs/{id:int}/events", stream.events),
            Route("/v1/jobs/{id:int}/cancel", jobs.cancel, methods=["POST"]),
            Route("/v1/jobs/{id:int}/resume", jobs.resume, methods=["POST"]),
            Route("/v1/jobs/{id:int}/log", jobs.log),
            Route("/v1/jobs/{id:int}/chat", chat_route.chat, methods=["POST"]),
        ],
        exception_handlers=guard.HANDLERS,
    )
    app.state.parts = parts
    return app
