"""How fast a large file comes from a hub on this machine beside curl, and what being killed on the way costs.

Run: python bench/download.py [--bytes 2000000000] [--rounds 5] [--kills 20] [--folder /tmp]
Each round has curl and us, in turn first, from the same server process: the ratio of a round does not mind what else
the machine does. curl only writes; we also hash and sync, so it is shown with a sync of the file beside that without.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "fakes"))
from download_child import REVISION, Task  # noqa: E402
from flaky_hub import FILE  # noqa: E402

from tunesmith.daemon.hubs import HubFile  # noqa: E402
from tunesmith.daemon.hubs.download import STAGED  # noqa: E402
from tunesmith.daemon.hubs.limits import Limits  # noqa: E402
from tunesmith.daemon.hubs.partial_file import bytes_there  # noqa: E402

CHILD = str(ROOT / "tests" / "fakes" / "download_child.py")


class Server:
    """The flaky hub in a process of its own."""

    def __init__(self, size: int, unsent: int = 0) -> None:
        hub = str(ROOT / "tests" / "fakes" / "flaky_hub.py")
        command = [sys.executable, hub, f"--bytes={size}", f"--unsent={unsent}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        about = json.loads(self.said())
        self.address = f"{about['url']}/api/v1/models/owner/name/repo?Revision=master&FilePath={FILE}"
        self.file = HubFile(FILE, size, about["sha256"])

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def served(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write("served\n")
        self.process.stdin.flush()
        return int(self.said())

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def ours(server: Server, folder: Path, limits: Limits) -> subprocess.Popen[bytes]:
    task = Task("modelscope", server.address, server.file, str(folder), limits)
    return subprocess.Popen([sys.executable, CHILD, msgspec.json.encode(task).decode()])


def start_up(server: Server, folder: Path) -> float:
    """Seconds that our process takes before it asks for the first byte: a file of none."""
    empty = msgspec.structs.replace(server.file, bytes=0, sha256="")
    task = Task("modelscope", server.address, empty, str(folder), Limits())
    begun = time.perf_counter()
    subprocess.run([sys.executable, CHILD, msgspec.json.encode(task).decode()], check=True)
    return time.perf_counter() - begun


def busy() -> float:
    """Seconds of processors that the processes which were waited for have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed_ours(server: Server, folder: Path) -> tuple[float, float]:
    """Seconds, and seconds of processors."""
    with tempfile.TemporaryDirectory(dir=folder) as where:
        begun, before = time.perf_counter(), busy()
        assert ours(server, Path(where), Limits()).wait() == 0
        return time.perf_counter() - begun, busy() - before


def timed_curl(server: Server, folder: Path) -> tuple[float, float, float]:
    """Seconds for the file, for the file on the disk, and of processors."""
    with tempfile.TemporaryDirectory(dir=folder) as where:
        target = Path(where) / FILE
        begun, before = time.perf_counter(), busy()
        subprocess.run(["curl", "-sS", "-f", "-o", str(target), server.address], check=True)
        fetched = time.perf_counter() - begun
        with target.open("rb") as content:
            os.fsync(content.fileno())
        return fetched, time.perf_counter() - begun, busy() - before


def compare(size: int, rounds: int, folder: Path) -> None:
    server = Server(size)
    start_s = statistics.median(start_up(server, folder / f"empty-{number}") for number in range(3))
    ratios: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            (us, us_busy), (curl, synced, curl_busy) = timed_ours(server, folder), timed_curl(server, folder)
        else:
            (curl, synced, curl_busy), (us, us_busy) = timed_curl(server, folder), timed_ours(server, folder)
        ratios.append(((us - start_s) / curl, (us - start_s) / synced))
        print(
            f"round {number + 1}: curl {size / curl / 1e9:.2f} GB/s, with sync {size / synced / 1e9:.2f}; "
            f"we {size / (us - start_s) / 1e9:.2f} (and {start_s:.2f} s to start); "
            f"processor seconds: curl {curl_busy:.1f}, we {us_busy:.1f}"
        )
    server.end()
    print(f"our time / curl's, median: {statistics.median(ratio for ratio, _ in ratios):.2f}")
    print(f"our time / curl's with sync, median: {statistics.median(ratio for _, ratio in ratios):.2f}")


def kill(size: int, kills: int, folder: Path, seed: int) -> None:
    moments = random.Random(seed)
    server = Server(size, unsent=128 << 10)  # so that what it counts has left it
    limits = Limits()
    done, lost = 0, [0]
    with tempfile.TemporaryDirectory(dir=folder) as where:
        for _ in range(kills):
            until = server.served() + moments.uniform(0.2, 1.0) * size / kills
            process = ours(server, Path(where), limits)
            while process.poll() is None and server.served() < until:
                time.sleep(0.002)
            done += process.poll() is None
            process.kill()
            process.wait()
            lost.append(server.served() - sum(lost) - bytes_there(Path(where) / STAGED, server.file, REVISION))
        assert ours(server, Path(where), limits).wait() == 0
    again = server.served() - size
    print(
        f"seed {seed}: killed {done} times, {again} bytes sent again: {again / max(1, done) / limits.piece_bytes:.2f} "
        f"pieces of {limits.piece_bytes} bytes a kill, {max(lost) / limits.piece_bytes:.2f} at most"
    )
    server.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=2_000_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        if given.rounds:
            compare(given.bytes, given.rounds, Path(folder))
        if given.kills:
            kill(given.bytes, given.kills, Path(folder), given.seed)


if __name__ == "__main__":
    main()
