"""The API's description is made of the route table: docs/api.md is fresh, and the daemon serves the same document."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import HOST
from tunesmith.daemon.server import openapi
from tunesmith.daemon.server.app import ENDPOINTS
from tunesmith.daemon.server.describe import markdown

DOCUMENT = Path(__file__).parents[2] / "docs/api.md"


def test_the_committed_description_is_a_fresh_one() -> None:
    assert DOCUMENT.read_text("utf-8") == markdown(ENDPOINTS), (
        "run `python -m tunesmith.daemon.server.describe > docs/api.md`"
    )


def test_every_route_says_what_it_does_and_how_to_ask() -> None:
    assert len(ENDPOINTS) >= 12
    for endpoint in ENDPOINTS:
        assert endpoint.summary.endswith("."), endpoint.path
        assert endpoint.reply is not None or endpoint.stream is not None, endpoint.path
        assert bool(endpoint.example) == (endpoint.request is not None), endpoint.path
    names = [endpoint.handler.__name__ for endpoint in ENDPOINTS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if one.request], ids=lambda one: one.path)
def test_what_a_request_does_not_know_is_refused_at_every_level(endpoint: openapi.Endpoint) -> None:
    schema = openapi.document(ENDPOINTS)["components"]["schemas"][endpoint.request.__name__]  # type: ignore[union-attr]
    assert schema["additionalProperties"] is False


async def test_the_daemon_serves_the_description(daemon: DaemonProcess) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(daemon.home.socket))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        response = await client.get("/v1/openapi.json")
    assert response.status_code == 200
    assert response.json() == json.loads(openapi.encoded(ENDPOINTS))
