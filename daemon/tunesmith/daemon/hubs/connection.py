"""Asks a hub for bytes over HTTP: keeps connections open, uses proxies, and follows redirects by rules of its own."""

from __future__ import annotations

import os
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from tunesmith.daemon.hubs import refusals
from tunesmith.daemon.hubs.answers import Broken, Source, check_body, refusal
from tunesmith.daemon.hubs.limits import Limits
from tunesmith.recipes.errors import MachineError

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
LONGEST_NOTE = 1 << 16  # bytes read of an answer that is no file, so that its connection can be used again
UNREACHED = (NewConnectionError, NameResolutionError, ConnectTimeoutError, ProxyError)


class Answer:
    """The body of a checked answer: bytes `start` to `end` of the file, which is `whole` where a part was asked for."""

    def __init__(self, response: urllib3.BaseHTTPResponse, start: int, end: int, whole: bool) -> None:
        self.response, self.start, self.end, self.whole = response, start, end, whole

    def read(self, most: int) -> bytes:
        """What has arrived, at least a byte and at most so many. Raises Broken when nothing comes any more."""
        try:
            data = self.response.read1(most, decode_content=False)
        except ReadTimeoutError as error:
            raise Broken("nothing arrived any more") from error
        except (HTTPError, OSError) as error:
            raise Broken(f"the connection broke ({refusals.root_cause(error)})") from error
        if not data:
            raise Broken("the connection ended early")
        return data

    def close(self) -> None:
        """A body that was read to its end leaves its connection open for the next request."""
        if not self.response.closed:
            self.response.close()

    def interrupt(self) -> None:
        """From another thread: whoever reads is told that the connection ended."""
        with suppress(ValueError, RuntimeError, OSError):  # it has just ended by itself
            self.response.shutdown()


class Client:
    """The connections of one download; threads share it."""

    def __init__(self, limits: Limits) -> None:
        self.timeout = urllib3.Timeout(connect=limits.connect_s, read=limits.stall_s)
        self.connections = limits.connections
        self.managers: dict[str, urllib3.PoolManager] = {}
        self.lock = threading.Lock()

    def ask(self, source: Source, start: int, end: int) -> Answer:
        """Bytes `start` to `end` of the file, or all of it from a server that knows no ranges (`Answer.whole`).

        Raises Broken when another try may help, TunesmithError otherwise.
        """
        url = source.location or source.url
        fresh = not source.location
        for _ in range(MOST_REDIRECTS + 1):
            response = self.request(source, url, start, end)
            try:
                source.unchanged(url, response.status, response.headers)
                if response.status not in REDIRECTS:
                    return self.checked(source, url, response, start, end, fresh)
                url, fresh = redirected(source, url, response.headers.get("Location", "")), True
                drain(response)
            except BaseException:
                response.close()
                raise
        raise refusals.by_status(source.hub, source.file.path, response.status, "redirected in a circle")

    def checked(
        self, source: Source, url: str, response: urllib3.BaseHTTPResponse, start: int, end: int, fresh: bool
    ) -> Answer:
        size = source.file.bytes
        if response.status not in (200, 206):
            broken = refusal(response.status, response.headers)
            if broken is None and not fresh:
                broken = Broken(f"it answered {response.status}")  # the address it gave before has expired
            drain(response)
            raise broken or refusals.by_status(source.hub, source.repository, response.status)
        check_body(response.headers, response.status, start, end, size)
        source.location = "" if url == source.url else url
        if response.status == 200:
            return Answer(response, 0, size, whole=(start, end) != (0, size))
        return Answer(response, start, end, whole=False)

    def request(self, source: Source, url: str, start: int, end: int) -> urllib3.BaseHTTPResponse:
        headers = source.headers_for(url) | {"accept-encoding": "identity"}  # ranges of packed bytes cannot be joined
        if (start, end) != (0, source.file.bytes):
            headers["range"] = f"bytes={start}-{end - 1}"
            if etag := source.known_etag(url):
                headers["if-range"] = etag
        try:
            return self.manager(url).urlopen(
                "GET", url, headers=headers, redirect=False, retries=False, preload_content=False,
                decode_content=False, timeout=self.timeout,
            )  # fmt: skip
        except SSLError as error:
            if isinstance(error.args[0] if error.args else None, ssl.SSLCertVerificationError):
                raise refusals.offline(source.hub, error) from error
            raise Broken(refusals.root_cause(error), "offline") from error
        except UNREACHED as error:
            raise Broken(refusals.root_cause(error), "offline") from error
        except HTTPError as error:
            raise Broken(f"no answer came ({refusals.root_cause(error)})") from error

    def manager(self, url: str) -> urllib3.PoolManager:
        """With the proxy that the environment names for this address."""
        from requests.utils import get_environ_proxies, select_proxy

        proxy = select_proxy(url, get_environ_proxies(url)) or ""
        with self.lock:
            if proxy not in self.managers:
                self.managers[proxy] = opened(proxy, self.connections)
            return self.managers[proxy]

    def close(self) -> None:
        for manager in self.managers.values():
            manager.clear()


def opened(proxy: str, connections: int) -> urllib3.PoolManager:
    from requests.utils import get_auth_from_url, prepend_scheme_if_needed

    if not proxy:
        return urllib3.PoolManager(maxsize=connections, ssl_context=trusted())
    if proxy.lower().startswith("socks"):
        raise MachineError(
            f"The proxy {urlsplit(proxy).scheme}://{urlsplit(proxy).hostname} speaks SOCKS",
            "Set HTTPS_PROXY and HTTP_PROXY to an HTTP proxy.",
            "proxy",
        )
    proxy = prepend_scheme_if_needed(proxy, "http")
    name, password = get_auth_from_url(proxy)
    login = urllib3.make_headers(proxy_basic_auth=f"{name}:{password}") if name else None
    return urllib3.ProxyManager(proxy, proxy_headers=login, maxsize=connections, ssl_context=trusted())


def trusted() -> ssl.SSLContext:
    """The certificates that the environment names as requests does, or those of the system and of certifi."""
    import certifi

    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if given := os.environ.get(variable):
            folder = Path(given).is_dir()
            return ssl.create_default_context(cafile=None if folder else given, capath=given if folder else None)
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def redirected(source: Source, url: str, location: str) -> str:
    """Where `url` sends to. Raises DataError when that is less safe than the hub's address."""
    following = urljoin(url, location)
    allowed = ("https",) if urlsplit(source.url).scheme == "https" else ("https", "http")
    if urlsplit(following).scheme not in allowed or not urlsplit(following).hostname:
        raise refusals.unsafe_redirect(source.hub, source.file.path, following)
    return following


def drain(response: urllib3.BaseHTTPResponse) -> None:
    """Read a short body that nobody wants, so that its connection can be used again; a long one ends it."""
    length = response.headers.get("Content-Length", "")
    with suppress(HTTPError, OSError):
        if length.isdigit() and int(length) <= LONGEST_NOTE:
            response.read(LONGEST_NOTE, decode_content=False)
        else:
            response.close()
