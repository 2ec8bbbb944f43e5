"""What the daemon does not accept, and how it says so."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import Submit
from tunesmith.recipes.errors import ErrorBody
from tunesmith.recipes.spec import DataSpec, JobSpec, ModelSpec


@contextlib.asynccontextmanager
async def raw(daemon: DaemonProcess) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(daemon.home.socket))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://tunesmith", headers={"Content-Type": "application/json"}
    ) as client:
        yield client


async def refusal(daemon: DaemonProcess, spec: JobSpec) -> tuple[int, ErrorBody]:
    async with raw(daemon) as client:
        response = await client.post("/v1/jobs", content=msgspec.json.encode(Submit("key", spec)))
    body = msgspec.json.decode(response.content, type=ErrorBody)
    assert body.message and body.hint
    assert await daemon.client.jobs() == []
    return response.status_code, body


NO_SUBMITS = {
    "nothing": b"",
    "half": b"{",
    "list": b"[]",
    "null": b"null",
    "no text": b"\xff\xfe",
    "no text in a text": b'{"key":"\xe2x","spec":{}}',
    "no spec": b'{"key": 1}',
    "unknown key": b'{"key":"a","spec":{"nmae":"x"}}',
    "unknown field": b'{"key":"a","spec":{},"more":1}',
    "empty key": b'{"key":"","spec":{}}',
    "deep list": b"[" * 900_000,
    "deep object": b'{"key":"a","spec":{"method":' + b'{"a":' * 50_000,
}


@pytest.mark.parametrize("body", NO_SUBMITS.values(), ids=NO_SUBMITS)
async def test_a_body_that_is_no_submit_is_a_bad_request(daemon: DaemonProcess, body: bytes) -> None:
    async with raw(daemon) as client:
        response = await client.post("/v1/jobs", content=body)
    assert response.status_code == 400
    assert msgspec.json.decode(response.content, type=ErrorBody).code == "bad_request"
    assert await daemon.client.healthy()


async def test_a_body_above_the_limit_is_refused(daemon: DaemonProcess) -> None:
    async with raw(daemon) as client:
        response = await client.post("/v1/jobs", content=b" " * 1_100_000)
    assert response.status_code == 413
    assert msgspec.json.decode(response.content, type=ErrorBody).code == "too_large"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404), ("GET", "/v1/jobs/7", 404), ("POST", "/v1/jobs/7/cancel", 404), ("GET", "/v1/jobs/x", 404),
        ("GET", "/v1/jobs/7/events", 404), ("GET", "/v1/jobs/7/log", 404), ("POST", "/v1/jobs/7/resume", 404),
        ("GET", "/v1/jobs/99999999999999999999999999", 404), ("DELETE", "/v1/jobs", 405),
        ("PUT", "/v1/daemon/stop", 405), ("GET", "/v1/../../etc/passwd", 404), ("GET", "/v1/jobs/1%00", 404),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_said_in_our_words(
    daemon: DaemonProcess, method: str, path: str, status: int
) -> None:
    async with raw(daemon) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert msgspec.json.decode(response.content, type=ErrorBody).message


@pytest.mark.parametrize(
    ("query", "header"), [("log?tail=x", ""), ("log?tail=-1", ""), ("events", "x"), ("events", "²")]
)
async def test_a_number_that_is_none_is_a_bad_request(daemon: DaemonProcess, query: str, header: str) -> None:
    await daemon.submit("steps=1")
    async with raw(daemon) as client:
        headers = {"Last-Event-ID": header.encode()} if header else {}
        response = await client.get(f"/v1/jobs/1/{query}", headers=headers)
    assert response.status_code == 400


async def test_a_missing_model_folder(daemon: DaemonProcess, tmp_path: Path) -> None:
    status, body = await refusal(daemon, JobSpec(model=ModelSpec(source=str(tmp_path / "none"))))
    assert (status, body.code) == (422, "model_missing")


async def test_a_folder_that_is_no_model(daemon: DaemonProcess, tmp_path: Path) -> None:
    status, body = await refusal(daemon, JobSpec(model=ModelSpec(source=str(tmp_path))))
    assert (status, body.code) == (422, "model_incomplete")


@pytest.mark.parametrize("text", ["", " \n\n"])
async def test_an_empty_data_file(daemon: DaemonProcess, tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    status, body = await refusal(daemon, JobSpec(data=DataSpec(train=str(tmp_path / "rows.jsonl"))))
    assert (status, body.code) == (422, "data_empty")


@pytest.mark.parametrize("name", ["none.jsonl", ".", "pipe", "a" * 3000], ids=["none", "folder", "pipe", "long"])
async def test_a_data_file_that_cannot_be_read(daemon: DaemonProcess, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    status, body = await refusal(daemon, JobSpec(data=DataSpec(train=str(folder / name))))
    assert status == 422 and body.code in ("data_missing", "data_unreadable")


@pytest.mark.parametrize(
    "spec",
    [
        JobSpec(name="a/b"), JobSpec(method={"kind": "sfd"}), JobSpec(method={"kind": {}}), JobSpec(tuner={}),
        JobSpec(tuner={"kind": "lora", "rnak": 3}), JobSpec(exports=("gguf:q9",)), JobSpec(quantization="nf5"),
        JobSpec(data=DataSpec(train="rows.jsonl")), JobSpec(model=ModelSpec(source="/tmp/\0")),
    ],
)  # fmt: skip
async def test_a_wrong_recipe(daemon: DaemonProcess, spec: JobSpec) -> None:
    status, body = await refusal(daemon, spec)
    assert (status, body.code) == (422, "recipe")


async def test_no_room_on_the_disk(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home", TUNESMITH_FREE_DISK_NEEDED=str(10**18))
    await daemon.start()
    status, body = await refusal(daemon, JobSpec())
    assert (status, body.code) == (422, "disk_full")
    await daemon.tidy()


async def test_cancelling_what_has_ended(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1")
    await daemon.until(1, "finished")
    async with raw(daemon) as client:
        response = await client.post("/v1/jobs/1/cancel")
    assert response.status_code == 409
    assert (await daemon.client.job(1)).state == "finished"
