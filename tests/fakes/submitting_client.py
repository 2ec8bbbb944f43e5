"""A client process in a storm: submits, follows, cancels, resumes, and writes down every promise it was given.

`python submitting_client.py SOCKET RECORDS NAME SEED STOP`: until the file STOP exists; then it sees its jobs to their
end and leaves. Records are those of tests/faults/history.py, one a line.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import httpx
import msgspec

from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import JobSpec, TrainingSpec

OUTSTANDING = 2
LOOK_EVERY_S = 0.3
PATIENCE_S = 0.02  # between two tries at a daemon that was killed a moment ago
EXPECTED = ("unreachable", "queue_full", "disk_full", "ended_already", "cancelling", "pausing")
RESTING = ("finished", "failed", "cancelled", "paused", "interrupted")
HOW = ("steps=3 step=0", "steps=3 step=0", "steps=12 step=0.01 save=4", "steps=30 step=0.01 save=10")


class Storming:
    def __init__(self, socket: Path, records: Path, name: str, seed: int, stop: Path) -> None:
        self.socket, self.name, self.stop = socket, name, stop
        self.dice = random.Random(seed)
        self.out = os.open(records, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.client = Client(socket)
        self.streams = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)),
            base_url="http://tunesmith",
            timeout=httpx.Timeout(5, read=15),
        )
        self.submitted = 0

    def record(self, record: str, /, **said: object) -> None:
        os.write(self.out, msgspec.json.encode({"record": record} | said) + b"\n")

    async def run(self) -> None:
        await asyncio.gather(*(self.work(number) for number in range(OUTSTANDING)))
        await self.client.close()
        await self.streams.aclose()

    async def work(self, number: int) -> None:
        while not self.stop.exists():
            self.submitted += 1
            key = f"{self.name}-{self.submitted}"
            how = self.dice.choice(HOW)
            spec = JobSpec(name=f"{how} key={key}", training=TrainingSpec())
            job = await self.submit(Submit(key, spec))
            if self.dice.random() < 0.1:
                await self.submit(Submit(key, spec))
            follower = asyncio.create_task(self.follow(f"{self.name}.{number}.{key}", job))
            if self.dice.random() < 0.15:
                await asyncio.sleep(self.dice.random() * 0.5)
                await self.once(self.client.cancel, job)
            await self.rests(job)
            await follower

    async def submit(self, asked: Submit) -> int:
        while True:
            try:
                view = await self.client.submit(asked)
            except TunesmithError as error:
                self.note(error)
                await asyncio.sleep(PATIENCE_S)
                continue
            self.record("acknowledged", key=asked.key, job=view.id)
            self.record("replied", job=view.id, number=view.last_event, state=view.state)
            return view.id

    async def once(self, call: object, job: int) -> None:
        assert callable(call)
        try:
            view: JobView = await call(job)
        except TunesmithError as error:
            self.note(error)
        else:
            self.record("replied", job=job, number=view.last_event, state=view.state)

    async def rests(self, job: int) -> None:
        """Until the job rests for good: one that failed or was interrupted is resumed by half."""
        while True:
            try:
                view = await self.client.job(job)
            except TunesmithError as error:
                self.note(error)
                await asyncio.sleep(PATIENCE_S)
                continue
            self.record("replied", job=job, number=view.last_event, state=view.state)
            if view.state in ("failed", "interrupted", "paused") and self.dice.random() < 0.5:
                await self.once(self.client.resume, job)
            elif view.state in RESTING:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def follow(self, stream: str, job: int) -> None:
        """Every event as it comes over the wire, from one daemon to the next; until the job rests."""
        last, kind = 0, ""
        while True:
            try:
                headers = {"Last-Event-ID": str(last)}
                async with self.streams.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as response:
                    if response.is_error:
                        self.record("odd", text=f"a stream was answered with {response.status_code}")
                    last, kind, whole = await self.frames(stream, job, last, kind, response)
                    if whole and kind in RESTING:
                        return
            except httpx.TransportError:
                await asyncio.sleep(PATIENCE_S)

    async def frames(
        self, stream: str, job: int, last: int, kind: str, response: httpx.Response
    ) -> tuple[int, str, bool]:
        """Number and kind of the last event so far, and whether the daemon closed the stream in order."""
        number = None
        try:
            async for line in response.aiter_lines():
                if line.startswith("id:"):
                    number = int(line[3:])
                elif line.startswith("data:") and number is not None:
                    kind = msgspec.json.decode(line[5:])["type"]
                    self.record("saw", stream=stream, job=job, number=number, kind=kind)
                    last, number = number, None
        except httpx.TransportError:
            return last, kind, False
        return last, kind, True

    def note(self, error: TunesmithError) -> None:
        if error.code not in EXPECTED:
            self.record("odd", text=f"{error.code}: {error.message}")


def main() -> None:
    socket, records, name, seed, stop = sys.argv[1:]
    asyncio.run(Storming(Path(socket), Path(records), name, int(seed), Path(stop)).run())


if __name__ == "__main__":
    main()
