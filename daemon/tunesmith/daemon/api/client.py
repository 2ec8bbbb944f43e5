"""The one way to talk to the daemon: an async client over its Unix socket, speaking `events` and `requests`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
import msgspec
from httpx_sse import SSEError, aconnect_sse

from tunesmith.daemon.api.events import RESTING, Gap, Gauged, Numbered, decode
from tunesmith.daemon.api.listing import Lines
from tunesmith.daemon.api.report import Report
from tunesmith.daemon.api.requests import (
    API_VERSION,
    HOST,
    VERSION_HEADER,
    Chat,
    ChatDone,
    ChatEvent,
    ChatFailed,
    ChatModel,
    DaemonStatus,
    Done,
    LogText,
    Move,
    Resume,
    Retry,
    Serve,
    Serving,
    Submit,
)
from tunesmith.daemon.api.retention import Clean, Cleaned, Sizes
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.errors import DaemonError, ErrorBody, TunesmithError

CALL_TIMEOUT_S = 30.0
STREAM_SILENCE_S = 30.0  # three heartbeats of the daemon
RECONNECT_FOR_S = 30.0  # a restarted daemon is up within seconds; longer means that someone must act
RESTART_HINT = "Start it with `tunesmith daemon start`; running jobs go on meanwhile."
OTHER_VERSION_HINT = "Stop it with `tunesmith daemon stop`, then try again; runs at work go on."
ANY_VERSION = ("/v1/health", "/v1/daemon", "/v1/daemon/stop")  # so that another version's daemon can be told to end
JSON = {"Content-Type": "application/json"}
T = TypeVar("T")


class Client:
    """`async with Client(socket) as client`. Every method raises a TunesmithError; DaemonError when nothing answers."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)),
            base_url=f"http://{HOST}",
            headers={VERSION_HEADER: str(API_VERSION)},
            timeout=CALL_TIMEOUT_S,
            trust_env=False,
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def _call(
        self, method: str, path: str, reply: type[T], body: Any = None, timeout: httpx.Timeout | float = CALL_TIMEOUT_S
    ) -> T:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else JSON
        try:
            response = await self._open().request(method, path, content=content, headers=headers, timeout=timeout)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        refuse_other_version(response)
        if response.is_error:
            raise error_of(response.status_code, response.content)
        try:
            return msgspec.json.decode(response.content, type=reply)
        except msgspec.DecodeError as error:
            text = f"The daemon answered {path} in a way this version does not know: {error}"
            raise DaemonError(text, OTHER_VERSION_HINT, code="version_mismatch") from error

    def _open(self) -> httpx.AsyncClient:
        """Raises httpx.ConnectError once it was closed, which the wizard does to one whose daemon has ended."""
        if self._http.is_closed:
            raise httpx.ConnectError("the client was closed")
        return self._http

    def _unreachable(self, error: Exception) -> DaemonError:
        return DaemonError(
            f"The daemon does not answer at {self.socket} ({type(error).__name__})", RESTART_HINT, code="unreachable"
        )

    async def healthy(self) -> bool:
        """Whether a daemon answers on the socket right now."""
        try:
            return (await self._open().get("/v1/health", timeout=2.0)).status_code == 200
        except httpx.TransportError:
            return False

    async def status(self) -> DaemonStatus:
        return await self._call("GET", "/v1/daemon", DaemonStatus)

    async def stop(self) -> None:
        """Ask the daemon to end; workers go on."""
        await self._call("POST", "/v1/daemon/stop", Done)

    async def submit(self, request: Submit) -> JobView:
        return await self._call("POST", "/v1/jobs", JobView, request)

    async def jobs(self) -> list[JobView]:
        """Newest first."""
        return await self._call("GET", "/v1/jobs", list[JobView])

    async def lines(self, after: str = "") -> Lines:
        """A line of each job; with the `after` of an earlier answer those that changed since."""
        query = f"?after={after}" if after else ""
        return await self._call("GET", f"/v1/jobs/lines{query}", Lines)

    async def job(self, job_id: int) -> JobView:
        return await self._call("GET", f"/v1/jobs/{job_id}", JobView)

    async def cancel(self, job_id: int) -> JobView:
        return await self._call("POST", f"/v1/jobs/{job_id}/cancel", JobView)

    async def resume(self, job_id: int, force: bool = False) -> JobView:
        """Another attempt at a failed or cancelled job, from its last checkpoint on if there is one.

        With `force` it starts whatever its forecast says, a job that waits for memory too.
        """
        return await self._call("POST", f"/v1/jobs/{job_id}/resume", JobView, Resume(force))

    async def pause(self, job_id: int) -> JobView:
        """Out of the queue until it is resumed; a running one saves a checkpoint first."""
        return await self._call("POST", f"/v1/jobs/{job_id}/pause", JobView)

    async def finish(self, job_id: int) -> JobView:
        """Stop and keep: training ends after this step; what was learned is evaluated and exported."""
        return await self._call("POST", f"/v1/jobs/{job_id}/finish", JobView)

    async def retry(self, job_id: int, key: str, force: bool = False) -> JobView:
        """The recipe of a job that has ended as a new job."""
        return await self._call("POST", f"/v1/jobs/{job_id}/retry", JobView, Retry(key, force))

    async def move(self, job_id: int, before: int | None = None) -> JobView:
        """A queued job to right before another queued one, or to the front."""
        return await self._call("POST", f"/v1/jobs/{job_id}/move", JobView, Move(before))

    async def remove(self, job_id: int) -> None:
        """A job that has ended, with all its files."""
        await self._call("DELETE", f"/v1/jobs/{job_id}", Done)

    async def sizes(self) -> list[Sizes]:
        """What every job takes on the disk, newest first."""
        return await self._call("GET", "/v1/jobs/sizes", list[Sizes])

    async def clean(self, asked: Clean) -> Cleaned:
        """What was removed, or would be."""
        return await self._call("POST", "/v1/jobs/clean", Cleaned, asked)

    async def recovery(self) -> Report:
        """What the daemon found when it started, and those before it."""
        return await self._call("GET", "/v1/recovery", Report)

    async def serving(self) -> Serving:
        """What is served, and where."""
        return await self._call("GET", "/v1/serve", Serving)

    async def serve(self, asked: Serve) -> Serving:
        """Returns when the model answers, which takes as long as loading it."""
        return await self._call("POST", "/v1/serve", Serving, asked, timeout=httpx.Timeout(CALL_TIMEOUT_S, read=None))

    async def unserve(self) -> Serving:
        """Nothing is served any more."""
        return await self._call("DELETE", "/v1/serve", Serving)

    async def log(self, job_id: int, tail: int = 200) -> LogText:
        """The last `tail` lines of the worker's log."""
        return await self._call("GET", f"/v1/jobs/{job_id}/log?tail={tail}", LogText)

    async def events(self, job_id: int, after: int = 0, gaps: bool = False) -> AsyncIterator[Numbered]:
        """Events numbered above `after`, in order and without a gap, until the job has ended and nothing follows.

        In between come gauges, which are no part of the history: each has the number of the event before it.
        What the daemon left out because we were slow is fetched; with `gaps` its Gap is given instead.
        Reconnects by itself from the last number seen; gives up with DaemonError after RECONNECT_FOR_S of silence.
        """
        clock = asyncio.get_running_loop().time
        last_contact = clock()
        while True:
            try:
                timeout = httpx.Timeout(CALL_TIMEOUT_S, read=STREAM_SILENCE_S)
                headers = {"Last-Event-ID": str(after)}
                path = f"/v1/jobs/{job_id}/events"
                async with aconnect_sse(self._open(), "GET", path, headers=headers, timeout=timeout) as source:
                    refuse_other_version(source.response)
                    if source.response.is_error:
                        raise error_of(source.response.status_code, await source.response.aread())
                    async for message in source.aiter_sse():
                        last_contact = clock()
                        if not message.data:  # httpx-sse makes a message of a heartbeat once an id was seen
                            continue
                        event = decode(message.data)
                        if isinstance(event, Gauged):
                            yield Numbered(after, event)
                            continue
                        if isinstance(event, Gap):
                            if not gaps:
                                break  # asked again from `after` on, the daemon sends all
                            yield Numbered(after, event)
                            continue
                        numbered = Numbered(int(message.id), event)
                        if numbered.number <= after:
                            continue
                        after = numbered.number
                        yield numbered
                        if isinstance(numbered.event, RESTING):
                            break  # of an earlier attempt, perhaps
                view = await self.job(job_id)
                if view.ended_already and after >= view.last_event:
                    return
            except (httpx.TransportError, SSEError) as error:
                if clock() - last_contact > RECONNECT_FOR_S:
                    raise self._unreachable(error) from error
            except DaemonError as error:
                if error.code != "unreachable" or clock() - last_contact > RECONNECT_FOR_S:
                    raise
            await asyncio.sleep(0.3)

    async def watch(self, job_id: int) -> AsyncIterator[JobView]:
        """The job's view now, then after every event until it ends."""
        view = await self.job(job_id)
        yield view
        if view.ended_already:
            return
        async for numbered in self.events(job_id, view.last_event, gaps=True):
            view = fold(view, numbered)
            if view.missed is not None:
                view = await self.job(job_id)  # has all that was left out folded in, and maybe more
            yield view

    async def chat_model(self, job_id: int, base: bool = False) -> ChatModel:
        """What would answer in a chat."""
        return await self._call("GET", f"/v1/jobs/{job_id}/chat?base={str(base).lower()}", ChatModel)

    async def chat(self, job_id: int, request: Chat) -> AsyncIterator[ChatEvent]:
        """Deltas and calls as they are made, then ChatDone or ChatFailed; closing the iterator stops the answer."""
        timeout = httpx.Timeout(CALL_TIMEOUT_S, read=None)
        content = msgspec.json.encode(request)
        try:
            async with aconnect_sse(
                self._open(), "POST", f"/v1/jobs/{job_id}/chat", content=content, headers=JSON, timeout=timeout
            ) as source:
                refuse_other_version(source.response)
                if source.response.is_error:
                    raise error_of(source.response.status_code, await source.response.aread())
                async for message in source.aiter_sse():
                    event: ChatEvent = msgspec.json.decode(message.data, type=ChatEvent)
                    yield event
                    if isinstance(event, ChatDone | ChatFailed):
                        return
        except httpx.TransportError as error:
            raise self._unreachable(error) from error


def refuse_other_version(response: httpx.Response) -> None:
    """Raises DaemonError (code version_mismatch) unless the daemon speaks our version, or does not say."""
    spoken = response.headers.get(VERSION_HEADER, str(API_VERSION))
    if spoken != str(API_VERSION) and response.request.url.path not in ANY_VERSION:
        text = f"The daemon speaks version {spoken[:20]} of the API and this program version {API_VERSION}"
        raise DaemonError(text, OTHER_VERSION_HINT, code="version_mismatch")


def error_of(status: int, content: bytes) -> TunesmithError:
    """The error that the daemon sent, or one that says what came instead."""
    try:
        body = msgspec.json.decode(content, type=ErrorBody)
    except msgspec.DecodeError:
        shown = json.dumps(content[:200].decode("utf-8", "replace"))
        return DaemonError(f"The daemon answered with status {status}: {shown}", "See the daemon's log.")
    return TunesmithError(body.message, body.hint, body.code)
