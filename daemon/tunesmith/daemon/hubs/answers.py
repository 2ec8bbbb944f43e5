"""What an answer to a request for a part of a file must say, so that its bytes may be used: every header is checked."""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from tunesmith.daemon.hubs import Hub, HubFile, refusals

SHA256 = re.compile(r"[0-9a-f]{64}")
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
PASSING = frozenset({408, 425, 429})  # refusals that another try may better, as any of 500 and more
BUSY = frozenset({429, 503})


class Broken(Exception):
    """An answer or a connection that another try may better; `pause_s` is what the hub asked to wait before it."""

    def __init__(self, reason: str, kind: str = "failed", pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.kind, self.pause_s = reason, kind, pause_s


class Source:
    """Where the bytes of one file come from.

    `url` is the hub's address for a file of `repository` and `headers` are for its host alone. `location` is where that
    redirected to last, kept because hubs count requests; empty when it must be asked again.
    """

    def __init__(self, hub: Hub, repository: str, file: HubFile, url: str, headers: Mapping[str, str]) -> None:
        self.hub, self.repository, self.file, self.url = hub, repository, file, url
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.location = ""
        self.etags: dict[tuple[str, str, int | None], str] = {}

    def headers_for(self, url: str) -> dict[str, str]:
        """Whole for the hub's own host; any other learns nothing but the program's name."""
        own = origin(url) == origin(self.url)
        return {name: value for name, value in self.headers.items() if own or name == "user-agent"}

    def unchanged(self, url: str, status: int, headers: Mapping[str, str]) -> None:
        """Raises DataError when the answer from `url` is about other bytes than the listing or than those before."""
        if status >= 400:
            return
        linked = headers.get("x-linked-etag", "").strip('"').lower()
        if SHA256.fullmatch(linked) and self.file.sha256 and linked != self.file.sha256:
            raise refusals.changed(self.hub, self.file.path, "the hub now has another SHA-256 for it")
        size = headers.get("x-linked-size", "")
        if size.isdigit() and int(size) != self.file.bytes:
            raise refusals.changed(self.hub, self.file.path, f"the hub now says {size} bytes")
        etag = headers.get("etag", "")
        if etag and status in (200, 206) and self.etags.setdefault(origin(url), etag) != etag:
            raise refusals.changed(self.hub, self.file.path, "its ETag is another one")

    def known_etag(self, url: str) -> str:
        """For If-Range; a weak one tells nothing about bytes."""
        etag = self.etags.get(origin(url), "")
        return etag if etag.startswith('"') else ""


def origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def check_body(headers: Mapping[str, str], status: int, start: int, end: int, size: int) -> None:
    """Raises Broken unless the body is bytes `start` to `end` of `size` (status 206), or all of them (200)."""
    if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise Broken(f"the bytes were sent packed ({headers['content-encoding']}), which was not asked for")
    if status == 206:
        found = RANGE.fullmatch(headers.get("content-range", ""))
        if found is None:
            raise Broken("a part was sent without saying which")
        first, last, total = found.groups()
        if (int(first), int(last) + 1) != (start, end) or total not in (str(size), "*"):
            raise Broken(f"bytes {start} to {end - 1} of {size} were asked for; '{found[0]}' was sent")
    expected = end - start if status == 206 else size
    length = headers.get("content-length")
    if length is not None and length != str(expected):
        raise Broken(f"{expected} bytes were expected; the answer has {length}")


def refusal(status: int, headers: Mapping[str, str]) -> Broken | None:
    """What a status other than 200 and 206 means, or None when no other try would better it."""
    if status in BUSY:
        return Broken(f"it answered {status}: too many requests", "busy", asked_pause(headers.get("retry-after", "")))
    if status in PASSING or status >= 500 or status == 416 or status < 400:
        return Broken(f"it answered {status}", pause_s=asked_pause(headers.get("retry-after", "")))
    return None


def asked_pause(retry_after: str) -> float:
    """Seconds, from a Retry-After header that holds them or a date; 0 when it says neither."""
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        date = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    now = datetime.datetime.now(date.tzinfo or datetime.UTC)
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).timestamp() - now.timestamp())
