"""A real daemon process over a home of its own, with the toy worker in the real one's place."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import msgspec
import psutil

from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.planner import Rows
from tunesmith.recipes.spec import JobSpec, TrainingSpec

FAKES = Path(__file__).parent


class DaemonProcess:
    def __init__(self, root: Path, **environment: str) -> None:
        self.home = Home(root)
        self.environment = {
            **os.environ,
            "TUNESMITH_HOME": str(root),
            "TUNESMITH_WORKER_MODULE": "toy_worker",
            "TUNESMITH_ENGINE_MODULE": "toy_engine",
            "TUNESMITH_CANCEL_GRACE_S": "0.5",
            "TUNESMITH_PAUSE_GRACE_S": "1",
            "TUNESMITH_FREE_DISK_NEEDED": "0",
            "TUNESMITH_ROOM_MODULE": "toy_room",
            "TUNESMITH_ADMISSION_RETRY_S": "0.05",
            **environment,
        }
        paths = (str(FAKES), self.environment.get("PYTHONPATH"))
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self.process: subprocess.Popen[str] | None = None
        self.client = Client(self.home.socket)
        self.command = [sys.executable, "-m", "tunesmith.daemon"]

    def spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command,
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    async def start(self) -> float:
        """Seconds until it answered."""
        began = time.monotonic()
        self.process = self.spawn()
        while not await self.client.healthy():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() - began < 60
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate(timeout=15)
        return self.process.returncode

    async def submit(
        self,
        how: str = "toy",
        key: str | None = None,
        *,
        rows: Rows | None = None,
        force: bool = False,
        training: TrainingSpec | None = None,
    ) -> JobView:
        spec = JobSpec(name=how, training=training or TrainingSpec())
        return await self.client.submit(Submit(key or uuid.uuid4().hex, spec, rows, force))

    def room(self, **said: object) -> None:
        """From now on the machine has that (`toy_room` says what there is to say)."""
        self.home.root.mkdir(exist_ok=True)
        staged = self.home.root / "room.json.new"
        staged.write_bytes(msgspec.json.encode(said))
        staged.replace(self.home.root / "room.json")

    async def until(self, job_id: int, *states: str, seconds: float = 60) -> JobView:
        deadline = time.monotonic() + seconds
        while (view := await self.client.job(job_id)).state not in states:
            assert time.monotonic() < deadline, view
            await asyncio.sleep(0.02)
        return view

    async def until_step(self, job_id: int, step: int) -> JobView:
        """Until that step was taken, or the job has finished: a worker that resumes after the last step takes none."""
        deadline = time.monotonic() + 60
        while (view := await self.client.job(job_id)).state != "finished" and (
            view.step is None or view.step.step < step
        ):
            assert time.monotonic() < deadline, view
            await asyncio.sleep(0.02)
        return view

    async def until_attempt(self, job_id: int, attempt: int) -> JobView:
        deadline = time.monotonic() + 60
        while (view := await self.client.job(job_id)).attempt < attempt:
            assert time.monotonic() < deadline, view.state
            await asyncio.sleep(0.02)
        return view

    def workers(self) -> list[psutil.Process]:
        """Every living process of this home that a test put in a worker's place, gates and chat children too."""
        mark = str(self.home.root)
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = " ".join(process.info["cmdline"] or [])
            ours = mark in line and ("toy_" in line or "_worker" in line)
            if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    async def tidy(self) -> None:
        await self.client.close()
        if self.process is not None and self.process.poll() is None:
            self.end()
        for process in self.workers():
            process.kill()
