"""Who may come in: the link's ticket is taken once and exchanged for a cookie; other sites and names are refused."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tunesmith.tui.texts import t

TICKET = "ticket"
HEADERS = {
    # xterm.js sets styles of its own; scripts, fonts and the socket come from here and nowhere else.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Door:
    """`used` is called with a fresh link whenever one was taken, for the next browser."""

    def __init__(self, port: int, used: Callable[[str], None] = lambda link: None) -> None:
        self.port = port
        self.used = used
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        # Cookies know no ports: another server on this machine would be sent ours under the same name.
        self.cookie = f"tunesmith-{port}"
        self._pass = secrets.token_urlsafe(32)
        self._ticket = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """Opens one browser, once."""
        return f"http://{self.hosts[0]}/?{TICKET}={self._ticket}"

    def admit(self, request: web.Request) -> None:
        """Raises what is answered to a request that may not come in, or that has just shown the ticket."""
        host = request.headers.get("Host", "").lower()
        if host not in self.hosts:
            raise web.HTTPMisdirectedRequest(text=t("web.wrong_host"))
        origin = request.headers.get("Origin")
        websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        if (origin is not None or websocket) and origin != f"http://{host}":
            raise web.HTTPForbidden(text=t("web.wrong_origin"))
        if same(request.cookies.get(self.cookie, ""), self._pass):
            return
        if request.path == "/" and same(request.query.get(TICKET, ""), self._ticket):
            self._ticket = secrets.token_urlsafe(32)
            entered = web.HTTPSeeOther("/")  # the address bar and the history keep no ticket
            entered.set_cookie(self.cookie, self._pass, path="/", httponly=True, samesite="Strict")
            self.used(self.link)
            raise entered
        raise web.HTTPForbidden(text=t("web.no_pass"))


def same(given: str, ours: str) -> bool:
    """In a time that says nothing about how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), ours.encode())


def guard(door: Door) -> Middleware:
    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        door.admit(request)
        return await handler(request)

    return admitted


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: on whatever is answered, refusals too."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
