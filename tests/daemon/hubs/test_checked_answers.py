"""Which answers of a hub are used, where a login goes, and what a full disk or a strange setting is told."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from blob import Blob
from flaky_hub import FILE, FlakyHub

from tunesmith.daemon.hubs import Hub, HubFile, cards, connection, download, limits
from tunesmith.daemon.hubs.answers import Broken, Source, asked_pause, check_body, refusal
from tunesmith.recipes.errors import TunesmithError

SIZE = 300_000
SMALL = limits.Limits(piece_bytes=64 << 10, journal_bytes=8 << 10, patience_s=1.0, first_pause_s=0.05)


def source(url: str, file: HubFile | None = None) -> Source:
    headers = {"Authorization": "Bearer secret", "Cookie": "m_session_id=secret", "User-Agent": "tunesmith"}
    return Source(cards()["modelscope"], "owner/name", file or HubFile("a.bin", 1000, "ab" * 32), url, headers)


def card(url: str) -> Hub:
    return msgspec.structs.replace(cards()["huggingface"], address=lambda *_: url, headers=dict)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://hub.example:444/a", "https://sub.hub.example/a", "https://hub.example.evil/a", "http://hub.example/a",
        "https://hub.example@evil/a",
    ],
)  # fmt: skip
def test_a_login_goes_to_the_hubs_own_host_only(elsewhere: str) -> None:
    hub = source("https://hub.example/a")
    assert hub.headers_for("https://HUB.example:443/b").keys() == {"authorization", "cookie", "user-agent"}
    assert hub.headers_for(elsewhere) == {"user-agent": "tunesmith"}


@pytest.mark.parametrize(
    ("hub", "location", "allowed"),
    [
        ("https://hub/a", "https://cdn/a", "https://cdn/a"),
        ("https://hub/x/a", "../b", "https://hub/b"),
        ("https://hub/a", "http://hub/a", ""),
        ("https://hub/a", "file:///etc/passwd", ""),
        ("http://hub/a", "http://cdn/a", "http://cdn/a"),
        ("http://hub/a", "ftp://cdn/a", ""),
        ("http://hub/a", "https://", ""),
    ],
)
def test_a_redirect_never_leads_to_something_less_safe(hub: str, location: str, allowed: str) -> None:
    if allowed:
        assert connection.redirected(source(hub), hub, location) == allowed
        return
    with pytest.raises(TunesmithError) as refused:
        connection.redirected(source(hub), hub, location)
    assert refused.value.code == "unsafe_redirect" and "MODELSCOPE_ENDPOINT" in refused.value.hint


def test_redirects_in_a_circle_end() -> None:
    hub = FlakyHub("owner/name", {FILE: Blob(SIZE)})
    with hub.serve():
        hub.elsewhere = hub.url
        url = f"{hub.url}/cdn/{FILE}"
        hub.fault_in = lambda start, end: type("F", (), {"kind": "off_host", "at": 0})()  # type: ignore[method-assign]
        with pytest.raises(TunesmithError, match="circle"):
            connection.Client(SMALL).ask(source(url, HubFile(FILE, SIZE)), 0, SIZE)
    assert len(hub.asked) <= 10


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {}),
        (206, {"content-range": "bytes 10-18/100"}),
        (206, {"content-range": "bytes 11-20/100"}),
        (206, {"content-range": "bytes 10-19/101"}),
        (206, {"content-range": "bytes 10-19/100", "content-length": "9"}),
        (206, {"content-range": "bytes 10-19/100", "content-encoding": "gzip"}),
        (206, {"content-type": "multipart/byteranges"}),
        (200, {"content-length": "99"}),
        (200, {"content-encoding": "br"}),
    ],
)
def test_an_answer_that_was_not_asked_for_is_not_used(status: int, headers: dict[str, str]) -> None:
    with pytest.raises(Broken):
        check_body(headers, status, 10, 20, 100)


@pytest.mark.parametrize(
    ("status", "headers"),
    [(206, {"content-range": "bytes 10-19/100", "content-length": "10"}), (206, {"content-range": "bytes 10-19/*"}),
     (200, {"content-length": "100", "content-encoding": "identity"}), (200, {})],
)  # fmt: skip
def test_the_answer_that_was_asked_for_is(status: int, headers: dict[str, str]) -> None:
    check_body(headers, status, 10, 20, 100)


@pytest.mark.parametrize(("status", "again"), [(408, True), (416, True), (429, True), (500, True), (503, True),
                                               (400, False), (401, False), (403, False), (404, False)])  # fmt: skip
def test_only_what_may_pass_is_tried_again(status: int, again: bool) -> None:
    assert (refusal(status, {}) is not None) == again


def test_the_pause_a_hub_asks_for_is_seconds_or_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert asked_pause("7") == 7.0
    assert 95 <= asked_pause(later) <= 100
    assert [asked_pause(text) for text in ("", "soon", "-5", "Mon, 01 Jan 2001 00:00:00 GMT")] == [0.0] * 4


@pytest.mark.parametrize(
    "headers",
    [{"x-linked-etag": '"' + "cd" * 32 + '"'}, {"x-linked-size": "1001"}],
)
def test_a_hub_that_has_other_bytes_now_is_told_before_they_come(headers: dict[str, str]) -> None:
    with pytest.raises(TunesmithError) as refused:
        source("https://hub/a").unchanged("https://hub/a", 302, headers)
    assert refused.value.code == "changed" and "Run the same command again" in refused.value.hint


def test_the_etag_of_an_error_page_or_of_another_host_is_no_change() -> None:
    hub = source("https://hub/a")
    hub.unchanged("https://hub/a", 206, {"etag": '"one"'})
    hub.unchanged("https://hub/a", 404, {"etag": '"page"'})
    hub.unchanged("https://cdn/a", 206, {"etag": '"two"'})
    hub.unchanged("https://hub/a", 206, {"etag": '"one"'})
    assert (hub.known_etag("https://cdn/b"), hub.known_etag("https://other/a")) == ('"two"', "")


def test_the_environments_proxy_is_used_but_not_for_its_exceptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    proxy = FlakyHub("owner/name", {FILE: Blob(SIZE)})
    with proxy.serve():
        monkeypatch.setenv("http_proxy", proxy.url)
        file = HubFile(FILE, SIZE, proxy.blobs[FILE].sha256)
        there = card(f"http://hub.invalid/cdn/{FILE}")
        download.fetch_files(there, "owner/name", "model", "main", [file], tmp_path, lambda *_: None, SMALL)
        assert {asked.host for asked in proxy.asked} == {"hub.invalid"}
        monkeypatch.setenv("no_proxy", "hub.invalid")
        with pytest.raises(TunesmithError) as refused:
            download.fetch_files(there, "owner/name", "model", "main", [file], tmp_path / "b", lambda *_: None, SMALL)
        assert refused.value.code == "offline"


@pytest.mark.parametrize("failing", ["pwrite", "posix_fallocate"])
def test_a_disk_that_runs_full_on_the_way_is_told_and_what_arrived_is_kept(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = FlakyHub("owner/name", {FILE: Blob(SIZE)})
    file = HubFile(FILE, SIZE, hub.blobs[FILE].sha256)
    real, calls = getattr(os, failing), []

    def full(*arguments: object) -> object:
        calls.append(arguments)
        if failing == "posix_fallocate" or len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    with hub.serve():
        there = card(f"{hub.url}/cdn/{FILE}")
        with monkeypatch.context() as patched, pytest.raises(TunesmithError) as refused:
            patched.setattr(os, failing, full)
            download.fetch_files(there, "owner/name", "model", "main", [file], tmp_path, lambda *_: None, SMALL)
        assert refused.value.code == "disk_full" and "kept" in refused.value.hint
        assert not (tmp_path / FILE).exists()
        download.fetch_files(there, "owner/name", "model", "main", [file], tmp_path, lambda *_: None, SMALL)
    assert (tmp_path / FILE).read_bytes() == hub.blobs[FILE].part(0, SIZE)


def test_connections_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limits.CONNECTIONS_VARIABLE, "2")
    assert limits.from_environment().connections == 2
    for wrong in ("0", "17", "many", "1.5"):
        monkeypatch.setenv(limits.CONNECTIONS_VARIABLE, wrong)
        with pytest.raises(TunesmithError, match=limits.CONNECTIONS_VARIABLE):
            limits.from_environment()
