"""`tunesmith web` as a real server on loopback: who comes in, what a tab is, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import httpx
import psutil
import pytest
from daemon_process import DaemonProcess

MAIN = "from tunesmith.tui.cli.main import main; main()"
START_S = 60.0


class Served(NamedTuple):
    """The running command, the link that it printed, and where that leads."""

    process: asyncio.subprocess.Process
    link: str
    origin: str

    def wizards(self) -> list[psutil.Process]:
        """Those that live."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # ZombieProcess is one: it ended just now
                if "tunesmith.tui.web" in child.cmdline():
                    found.append(child)
        return found

    async def next_link(self) -> str:
        """As it is said on standard error once the last was used."""
        assert self.process.stderr is not None
        while line := (await self.process.stderr.readline()).decode():
            if "ticket=" in line:
                return line.split()[-1]
        raise AssertionError("the server has ended")

    @property
    def cookie_name(self) -> str:
        return f"tunesmith-{urlsplit(self.origin).port}"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, "web", "--json",
        env=os.environ | {"TUNESMITH_HOME": str(tmp_path / "home"), "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_S)
    link = json.loads(line)["url"]
    yield Served(process, link, link.partition("/?")[0])
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        await process.wait()


@pytest.fixture
async def inside(served: Served) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser that has opened the link."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(served.link) as answer:
            assert answer.status == 200
        yield session


async def until(true: Callable[[], object], seconds: float = START_S) -> None:
    for _ in range(round(seconds * 20)):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


class TabSocket:
    """What the page does: it opens the socket, reads the terminal and types."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen = ""
        self.closed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.seen += message.data.decode("utf-8", "replace")
        self.closed.set()

    async def shows(self, *texts: str) -> None:
        """One of them."""
        await until(lambda: any(text in self.seen for text in texts))

    async def type(self, text: str) -> None:
        await self.socket.send_json(["stdin", text])


@contextlib.asynccontextmanager
async def tab(session: aiohttp.ClientSession, served: Served) -> AsyncIterator[TabSocket]:
    url = f"{served.origin}/ws?width=100&height=30"
    async with session.ws_connect(url, headers={"Origin": served.origin}) as socket:
        yield TabSocket(socket)


def test_a_link_opens_one_browser_and_leaves_no_ticket_in_its_address(served: Served) -> None:
    with httpx.Client() as browser:
        entered = browser.get(served.link)
        assert (entered.status_code, entered.headers["Location"]) == (303, "/")
        cookie = entered.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and f"{served.cookie_name}=" in cookie
        page = browser.get(f"{served.origin}/")
        assert page.status_code == 200 and f"ws://{urlsplit(served.origin).netloc}/ws" in page.text
    assert httpx.get(served.link).status_code == 403


async def test_the_next_browser_gets_a_link_of_its_own(served: Served) -> None:
    async with httpx.AsyncClient() as one, httpx.AsyncClient() as other:
        await one.get(served.link)
        link = await asyncio.wait_for(served.next_link(), START_S)
        assert link != served.link
        assert (await other.get(link)).status_code == 303


@pytest.mark.parametrize("path", ["/", "/?ticket=", "/?ticket=guess", "/ws", "/static/js/textual.js", "/download/x"])
def test_without_the_cookie_nothing_is_answered_but_what_to_do(served: Served, path: str) -> None:
    answer = httpx.get(served.origin + path, headers={"Cookie": f"{served.cookie_name}=guess"})
    assert answer.status_code == 403
    assert "tunesmith web" in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.nip.io"])
async def test_another_host_s_name_is_refused_even_with_the_cookie(
    served: Served, inside: aiohttp.ClientSession, host: str
) -> None:
    async with inside.get(served.origin, headers={"Host": host}) as answer:
        assert answer.status == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "", None])
async def test_another_page_s_socket_is_refused_even_with_the_cookie(
    served: Served, inside: aiohttp.ClientSession, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await inside.ws_connect(f"{served.origin}/ws", headers=headers)
    assert refused.value.status == 403
    assert served.wizards() == []


async def test_another_page_is_told_nothing(served: Served, inside: aiohttp.ClientSession) -> None:
    async with inside.get(served.origin, headers={"Origin": "http://evil.example"}) as answer:
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    async with inside.options(served.origin, headers={"Origin": served.origin}) as answer:
        assert answer.status == 405


async def test_files_come_from_the_package_alone_and_none_from_the_web(
    served: Served, inside: aiohttp.ClientSession
) -> None:
    async with inside.get(f"{served.origin}/") as page:
        text, policy = await page.text(), page.headers["Content-Security-Policy"]
    assert "https://" not in text and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    files = re.findall(r'(?:src|href)="(/[^"]+)"', text)
    assert len(files) >= 4
    for name in files:
        async with inside.get(served.origin + name) as file:
            assert file.status == 200, name
    for outside in (
        "",
        "..%2fserver.py",
        "..%2f..%2fserver.py",
        "%2e%2e/server.py",
        "/etc/passwd",
        "js/../../server.py",
    ):
        async with inside.get(f"{served.origin}/static/{outside}", allow_redirects=False) as file:
            assert file.status in (403, 404), outside


def test_it_listens_on_loopback_alone(served: Served) -> None:
    listening = [one.laddr.ip for one in psutil.Process(served.process.pid).net_connections() if one.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


async def test_a_tab_is_a_wizard_that_ends_with_it(served: Served, inside: aiohttp.ClientSession) -> None:
    async with tab(inside, served) as first, tab(inside, served) as second:
        await first.shows("Your machine")
        await second.shows("Your machine")
        assert len(served.wizards()) == 2
        await first.type("q")
        await asyncio.wait_for(first.closed.wait(), START_S)
        await until(lambda: len(served.wizards()) == 1)
    await until(lambda: served.wizards() == [])


async def test_what_is_not_our_page_s_protocol_closes_the_tab(served: Served, inside: aiohttp.ClientSession) -> None:
    async with tab(inside, served) as odd:
        await odd.socket.send_str('{"stdin": 1}')
        await asyncio.wait_for(odd.closed.wait(), START_S)
        assert odd.socket.close_code == aiohttp.WSCloseCode.UNSUPPORTED_DATA
    await until(lambda: served.wizards() == [])


async def test_tabs_agree_on_a_run_and_it_goes_on_without_them(
    tmp_path: Path, served: Served, inside: aiohttp.ClientSession
) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    await daemon.start()
    try:
        await daemon.submit("steps=4000 step=0.01")
        async with tab(inside, served) as first, tab(inside, served) as second:
            await first.shows("Job 1")
            await second.shows("Job 1")
        await until(lambda: served.wizards() == [])
        assert (await daemon.client.job(1)).state == "running"
        served.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(served.process.wait(), START_S) == 0
        assert (await daemon.client.job(1)).state == "running"
        async with tab_of_another_server(tmp_path) as again:
            await again.shows("Job 1")
            before = len(again.seen)
            await daemon.client.cancel(1)
            await until(lambda: "cancelled" in again.seen[before:])
    finally:
        await daemon.tidy()


@contextlib.asynccontextmanager
async def tab_of_another_server(tmp_path: Path) -> AsyncIterator[TabSocket]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, "web", "--json",
        env=os.environ | {"TUNESMITH_HOME": str(tmp_path / "home")},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    link = json.loads(await process.stdout.readline())["url"]
    again = Served(process, link, link.partition("/?")[0])
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await (await session.get(link)).read()
        async with tab(session, again) as opened:
            yield opened
    process.send_signal(signal.SIGINT)
    await process.wait()


async def test_a_killed_server_leaves_no_wizard(served: Served, inside: aiohttp.ClientSession) -> None:
    async with tab(inside, served) as open_tab:
        await open_tab.shows("Your machine")
        (wizard,) = served.wizards()
        served.process.kill()
        await served.process.wait()
        await until(lambda: not wizard.is_running() or wizard.status() == psutil.STATUS_ZOMBIE)


async def test_a_port_that_is_taken_is_said_with_the_next_step(served: Served) -> None:
    port = urlsplit(served.origin).port
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, "web", "--port", str(port), "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 1
    assert json.loads(out)["error"]["code"] == "port_taken"
    assert "--port" in err.decode() and "Traceback" not in err.decode()
