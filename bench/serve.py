"""Serving against llama-cpp-python driven directly: writing speed, time to the first token, many streams, adapters.

Run: python bench/serve.py [MODEL.gguf] [--rounds N] [--adapters BASE ADAPTER ADAPTER]. A line of JSON a figure. Both
sides take turns on one machine, each in a process of its own, and ratios are of the two runs of a round, so that what
else runs falls on both; `load` says how much that was. The starter is asked by default.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tunesmith.daemon.api.find import ended, ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import HOST, Serve
from tunesmith.recipes.models.starter_file import starter_gguf

TOKENS = 96
STREAMS, STREAM_TOKENS = 32, 24
PROMPT = "Write a long story about a lighthouse keeper who finds a message in a bottle."
BARS = {"decode": 0.97, "first_token_ms": 20.0, "adapter_switch_s": 1.0}


class Timed(msgspec.Struct):
    """Seconds to the first token, and tokens a second after it."""

    first: float
    speed: float
    tokens: int


def timed(began: float, moments: list[float]) -> Timed:
    return Timed(moments[0] - began, (len(moments) - 1) / (moments[-1] - moments[0]), len(moments))


def direct(path: str) -> None:
    """The other side: a prompt a line on standard input is answered greedily, and timed, by llama-cpp-python alone."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import llama_cpp

    from tunesmith.recipes.machine.cpu import granted_cores

    cores = granted_cores()
    llama: Any = llama_cpp.Llama(path, n_ctx=4096, n_batch=512, n_threads=cores, n_threads_batch=cores, verbose=False)
    for line in sys.stdin:
        ids = json.loads(line)
        began, moments = time.monotonic(), []
        for token in llama.generate(ids, temp=0.0, repeat_penalty=1.0):
            llama.detokenize([token])
            moments.append(time.monotonic())
            if len(moments) == TOKENS:
                break
        print(msgspec.json.encode(timed(began, moments)).decode(), flush=True)


async def pieces(client: httpx.AsyncClient, model: str, prompt: str, tokens: int) -> AsyncIterator[float]:
    """When each came."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "temperature": 0, "stream": True,
            "max_tokens": tokens, "logprobs": False}  # fmt: skip
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                said = json.loads(line[6:])
                assert "error" not in said, said
                if said["choices"] and said["choices"][0]["delta"].get("content"):
                    yield time.monotonic()


async def asked(client: httpx.AsyncClient, model: str, prompt: str, tokens: int = TOKENS) -> Timed:
    began = time.monotonic()
    moments = [moment async for moment in pieces(client, model, prompt, tokens)]
    return timed(began, moments) if len(moments) > 1 else Timed(moments[0] - began, 0.0, 1)


def report(figure: str, **values: Any) -> None:
    print(json.dumps({"figure": figure, **values, "load": round(os.getloadavg()[0], 1)}), flush=True)


async def paired(client: httpx.AsyncClient, model: str, path: Path, rounds: int) -> None:
    """Writing speed and time to the first token, ours and the other's, in turn; a prompt of its own each round."""
    from tunesmith.daemon.worker.llama import Engine
    from tunesmith.recipes.data.rendering import bounds

    bounds.confine()
    command = [sys.executable, __file__, "--direct", str(path)]
    other = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert other.stdin is not None and other.stdout is not None
    ours, theirs = [], []
    with Engine(path, context_tokens=64) as tokenizer:
        for number in range(rounds + 1):
            prompt = f"{number}. {PROMPT}"
            ids = tokenizer.tokenize(tokenizer.render([{"role": "user", "content": prompt}]))
            for side in ("ours", "theirs") if number % 2 else ("theirs", "ours"):
                if side == "ours":
                    ours.append(await asked(client, model, prompt))
                else:
                    other.stdin.write(json.dumps(ids) + "\n")
                    other.stdin.flush()
                    line = await asyncio.to_thread(other.stdout.readline)
                    theirs.append(msgspec.json.decode(line, type=Timed))
    other.stdin.close()
    other.wait()
    ours, theirs = ours[1:], theirs[1:]  # the first warms both up
    ratios = [mine.speed / its.speed for mine, its in zip(ours, theirs, strict=True)]
    later = [1000 * (mine.first - its.first) for mine, its in zip(ours, theirs, strict=True)]
    report(
        "decode", ratio=round(statistics.median(ratios), 3), ratios=[round(one, 3) for one in ratios],
        tokens_per_second=round(statistics.median(one.speed for one in ours), 1),
        direct=round(statistics.median(one.speed for one in theirs), 1), bar=BARS["decode"],
    )  # fmt: skip
    report(
        "first_token", later_ms=round(statistics.median(later), 1), each=[round(one, 1) for one in later],
        ms=round(1000 * statistics.median(one.first for one in ours), 1), bar=BARS["first_token_ms"],
    )  # fmt: skip


async def streams(client: httpx.AsyncClient, model: str) -> None:
    """Many at once: all come to their end, and between two pieces of one that began nobody waits long."""
    began = time.monotonic()

    async def one(number: int) -> list[float]:
        return [moment async for moment in pieces(client, model, f"{number}: tell a story.", STREAM_TOKENS)]

    found = await asyncio.gather(*map(one, range(STREAMS)))
    gaps = [after - before for moments in found for before, after in itertools.pairwise(moments)]
    ended_at = max(moments[-1] for moments in found)
    report(
        "streams", streams=len(found), tokens=sum(map(len, found)),
        tokens_per_second=round(sum(map(len, found)) / (ended_at - began), 1),
        first_token_s=[round(min(m[0] for m in found) - began, 2), round(max(m[0] for m in found) - began, 2)],
        longest_silence_s=round(max(gaps), 2),
    )  # fmt: skip


async def switches(client: httpx.AsyncClient, names: list[str], rounds: int) -> None:
    """How much later the first token comes when another adapter was asked before than when the same was."""
    for name in names:
        await asked(client, name, "Hello", 1)  # loads it
    same, other = [], []
    for _ in range(rounds):
        for name in names:
            other.append((await asked(client, name, "Hello", 1)).first)
            same.append((await asked(client, name, "Hello", 1)).first)
    report(
        "adapter_switch", seconds=round(statistics.median(other) - statistics.median(same), 4),
        first_token_s=round(statistics.median(other), 3), bar=BARS["adapter_switch_s"],
    )  # fmt: skip


async def main(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="tunesmith-bench-") as folder:
        home = Home(Path(folder))
        async with await ensure_daemon(home) as daemon:
            transport = httpx.AsyncHTTPTransport(uds=str(home.socket))
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", timeout=600) as client:
                await daemon.serve(Serve(str(given.model), name="bench"))
                await paired(client, "bench", given.model, given.rounds)
                await streams(client, "bench")
                if given.adapters:
                    base, *adapters = (str(Path(path).resolve()) for path in given.adapters)
                    named = {f"adapter-{number}": path for number, path in enumerate(adapters)}
                    await daemon.serve(Serve(base, name="base", adapters=named))
                    await switches(client, list(named), given.rounds)
        await ended(home)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--adapters", nargs="+")
    parser.add_argument("--direct")
    options = parser.parse_args()
    if options.direct:
        direct(options.direct)
    else:
        options.model = options.model or starter_gguf()
        asyncio.run(main(options))
