"""Row A3: Host x Origin x method on every route: what a web page could cause is refused, and changes nothing."""

from __future__ import annotations

import itertools

import httpx
import msgspec
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import HOST
from tunesmith.daemon.server.app import ENDPOINTS
from tunesmith.daemon.server.guard import foreign
from tunesmith.recipes.errors import ErrorBody

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
HOSTS = (HOST, "localhost:8000", "evil.example", f"{HOST}:80", "")
PAGES = ({}, {"Origin": "null"}, {"Origin": f"http://{HOST}"}, {"Referer": "https://evil.example/page"})
FOREIGN = [(host, page) for host, page in itertools.product(HOSTS, PAGES) if host != HOST or page]
PATHS = [*sorted({endpoint.path.replace("{id}", "1") for endpoint in ENDPOINTS}), "/", "/v1/nothing"]


async def test_no_route_answers_a_web_page_by_any_method(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=100000 step=0.05")
    await daemon.until_step(1, 1)
    asked = 0
    transport = httpx.AsyncHTTPTransport(uds=str(daemon.home.socket))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        for path, method, (host, page) in itertools.product(PATHS, METHODS, FOREIGN):
            response = await client.request(method, path, headers={"Host": host, **page})
            assert response.status_code == 403, (path, method, host, page)
            assert not [name for name in response.headers if name.lower().startswith("access-control")]
            if method != "HEAD":
                assert msgspec.json.decode(response.content, type=ErrorBody).code == "foreign_request"
            asked += 1
    assert asked == len(PATHS) * len(METHODS) * len(FOREIGN) > 1500
    assert [view.state for view in await daemon.client.jobs()] == ["running"]


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ([(b"host", b"tunesmith")], True), ([(b"host", b"tunesmith.evil.example")], False),
        ([(b"host", b"tunesmith"), (b"accept", b"*/*")], True),
        ([], False), ([(b"host", b"tunesmith"), (b"host", b"tunesmith")], False), ([(b"host", b"Tunesmith.")], False),
        ([(b"host", b"tunesmith"), (b"origin", b"")], False), ([(b"host", b"tunesmith"), (b"referer", b"")], False),
    ],
)  # fmt: skip
def test_only_one_host_and_no_page(headers: list[tuple[bytes, bytes]], ours: bool) -> None:
    assert (foreign(headers) is None) == ours


async def test_no_reply_lets_a_page_read_it(daemon: DaemonProcess) -> None:
    """A preflight is refused like everything else, and an ordinary reply has no CORS header."""
    transport = httpx.AsyncHTTPTransport(uds=str(daemon.home.socket))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        assert (await client.options("/v1/jobs", headers=preflight)).status_code == 403
        answered = await client.get("/v1/jobs")
    assert answered.status_code == 200
    assert "access-control-allow-origin" not in answered.headers
