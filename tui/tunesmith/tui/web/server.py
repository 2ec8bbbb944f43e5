"""The server of `tunesmith web`: the page, its files, and a socket a tab, all behind the door, on loopback alone."""

from __future__ import annotations

import asyncio
import html
import signal
import socket
import string
from collections.abc import Callable
from pathlib import Path

from aiohttp import WSCloseCode, web
from textual_serve.server import Server, to_int

from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui.texts import language, t
from tunesmith.tui.web.door import Door, guard, harden
from tunesmith.tui.web.tab import Tab

HERE = Path(__file__).parent
LARGEST_CELLS = 1000  # columns or rows; a page that asks for more is none of ours
SHUTDOWN_S = 5.0  # longer than a tab may take to end
OTHER_PROTOCOL = (ValueError, LookupError, TypeError, AttributeError, AssertionError)


class WebServer(Server):
    """textual-serve's messages, files and terminal; who may come in and how a tab ends are ours."""

    def __init__(self, door: Door) -> None:
        super().__init__("tunesmith", host="127.0.0.1", port=door.port, title="tunesmith")
        self.door = door
        self._open: set[web.WebSocketResponse] = set()

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[guard(self.door)])
        app.add_routes([
            web.get("/", self.page),
            web.get("/page.js", self.script),
            web.get("/ws", self.handle_websocket),
            web.get("/download/{key}", self.handle_download),
            web.static("/static", self.statics_path),
        ])  # fmt: skip
        app.on_response_prepare.append(harden)
        app.on_shutdown.append(self.on_shutdown)
        return app

    async def page(self, request: web.Request) -> web.Response:
        said = {key: html.escape(t(f"web.{key}")) for key in ("starting", "ended", "again")}
        page = string.Template((HERE / "page.html").read_text("utf-8")).substitute(
            said, language=language(), socket=html.escape(f"ws://{request.host}/ws")
        )
        return web.Response(text=page, content_type="text/html")

    async def script(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / "page.js")

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(heartbeat=15)
        await websocket.prepare(request)
        tab = Tab(
            self.command,
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=websocket.close,  # type: ignore[arg-type]  # says whether it was open, which nobody asks
            download_manager=self.download_manager,
        )
        width, height = (
            min(max(1, to_int(request.query.get(name, ""), usual)), LARGEST_CELLS)
            for name, usual in (("width", 80), ("height", 24))
        )
        self._open.add(websocket)
        try:
            await tab.start(width, height)
            await self._process_messages(websocket, tab)
        except OTHER_PROTOCOL:
            await websocket.close(code=WSCloseCode.UNSUPPORTED_DATA)
        finally:
            self._open.discard(websocket)
            await tab.stop()
        return websocket

    async def on_shutdown(self, app: web.Application) -> None:
        for websocket in set(self._open):
            await websocket.close(code=WSCloseCode.GOING_AWAY)


def bound(port: int) -> socket.socket:
    """A socket on loopback; 0 is any port that is free. Raises TunesmithError."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port))
    except OSError as error:
        found.close()
        raise TunesmithError(
            t("web.port_taken", port=port, error=error.strerror), t("web.port_taken_hint"), "port_taken"
        ) from error
    return found


async def serve(port: int, ready: Callable[[str], None], used: Callable[[str], None]) -> None:
    """Until ctrl-c. `ready` and `used` are told links: the first one, and the next whenever one was taken."""
    listener = bound(port)
    door = Door(listener.getsockname()[1], used)
    runner = web.AppRunner(await WebServer(door)._make_app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await web.SockSite(runner, listener).start()
        ready(door.link)
        await ended.wait()
    finally:
        await runner.cleanup()
