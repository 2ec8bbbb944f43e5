"""Row N1: a flaky hub. What gets its final name hashes to what the hub lists, nothing partial does, little comes twice.

Everything real but the hub: threads, sockets, files, the address builders of both client libraries.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from blob import Blob
from download_child import Task
from flaky_hub import BODY_FAULTS, FILE, HEAD_FAULTS, Fault, FlakyHub

from tunesmith.daemon.hubs import Hub, HubFile, cards, download
from tunesmith.daemon.hubs.limits import Limits
from tunesmith.recipes.errors import TunesmithError

HUBS = ("modelscope", "huggingface")
REPOSITORY, COMMIT = "owner/name", "5e" * 20
PIECE = 64 << 10
SIZE = 6 * PIECE - 100
LIMITS = Limits(
    piece_bytes=PIECE, journal_bytes=PIECE // 8, connections=3, connect_s=5.0, stall_s=0.4, slow_window_s=0.3,
    patience_s=6.0, first_pause_s=0.02, longest_pause_s=0.2,
)  # fmt: skip
PLACES = {"first": 300, "middle": 2 * PIECE + PIECE // 2, "last": SIZE - 200}  # in the piece that is meant
LOGIN = "Bearer of_a_person"
# A server that sent ten times too much sends everything again: pieces that were asked for at once may come twice.
WHOLE_FILES = {"whole": 4 * SIZE}


@pytest.fixture
def fake() -> Iterator[FlakyHub]:
    hub = FlakyHub(REPOSITORY, {FILE: Blob(SIZE, seed=7)})
    with hub.serve():
        yield hub


def address(hub: str, url: str, path: str = FILE) -> str:
    if hub == "huggingface":
        from huggingface_hub import hf_hub_url

        return hf_hub_url(REPOSITORY, path, revision=COMMIT, endpoint=url)
    from modelscope_hub import HubApi

    return HubApi(endpoint=url).legacy.get_download_url(REPOSITORY, "model", path, COMMIT)


def card(hub: str, url: str) -> Hub:
    return msgspec.structs.replace(
        cards()[hub], address=lambda *place: address(hub, url, place[-1]), headers=lambda: {"Authorization": LOGIN}
    )


def listed(fake: FlakyHub, path: str = FILE) -> HubFile:
    return HubFile(path, len(fake.blobs[path]), fake.blobs[path].sha256)


def fetch(hub: str, fake: FlakyHub, folder: Path, limits: Limits = LIMITS, *files: HubFile) -> None:
    told: list[tuple[int, int]] = []
    wanted = files or (listed(fake),)
    download.fetch_files(
        card(hub, fake.url), REPOSITORY, "model", COMMIT, wanted, folder, lambda *of: told.append(of), limits
    )
    assert all(0 <= done <= total == sum(file.bytes for file in wanted) for done, total in told)


def refused(hub: str, fake: FlakyHub, folder: Path, limits: Limits = LIMITS) -> TunesmithError:
    with pytest.raises(TunesmithError) as told:
        fetch(hub, fake, folder, limits)
    assert not (folder / FILE).exists()
    return told.value


def is_right(fake: FlakyHub, folder: Path) -> bool:
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return names == [FILE] and (folder / FILE).read_bytes() == fake.blobs[FILE].part(0, SIZE)


def incomplete(folder: Path) -> Path:
    [path] = (folder / ".partial").glob("*.incomplete")
    return path


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [*HEAD_FAULTS, *BODY_FAULTS])
def test_a_fault_that_passes_costs_no_more_than_its_piece(
    kind: str, place: str, hub: str, fake: FlakyHub, tmp_path: Path
) -> None:
    fault = Fault(kind, PLACES[place])
    fake.faults.append(fault)
    elsewhere = FlakyHub(REPOSITORY, fake.blobs)
    with elsewhere.serve():
        fake.elsewhere = elsewhere.url
        fetch(hub, fake, tmp_path)
    assert fault.happened == 1
    assert is_right(fake, tmp_path)
    served = fake.served[FILE] + elsewhere.served[FILE]
    # A flipped byte shows in the digest of the whole only: pieces come again one by one up to the one it was in.
    again = PLACES[place] + PIECE if kind == "flip" else PIECE
    assert SIZE <= served <= SIZE + WHOLE_FILES.get(kind, again)
    assert {asked.login for asked in elsewhere.asked} <= {None}
    assert LOGIN in {asked.login for asked in fake.asked} or hub == "huggingface"


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("kind", ["broken_server", "wrong_range", "cut", "silent", "black_hole", "page"])
def test_a_fault_that_stays_is_told_and_what_arrived_is_kept(
    kind: str, hub: str, fake: FlakyHub, tmp_path: Path
) -> None:
    fault = Fault(kind, SIZE - 200, times=10**6)
    fake.faults.append(fault)
    error = refused(hub, fake, tmp_path, msgspec.structs.replace(LIMITS, patience_s=0.5))
    assert error.code == "hub_failed" and "kept" in error.hint
    before = fake.served[FILE]
    fault.times = 0
    fetch(hub, fake, tmp_path)
    assert is_right(fake, tmp_path)
    assert fake.served[FILE] - before <= 2 * PIECE


@pytest.mark.parametrize("hub", HUBS)
def test_a_server_without_ranges_is_read_from_the_start(hub: str, fake: FlakyHub, tmp_path: Path) -> None:
    fake.faults += [Fault("cut", 3 * PIECE + 17), *(Fault("whole", at, 10**6) for at in range(0, SIZE, PIECE // 4))]
    fetch(hub, fake, tmp_path)
    assert is_right(fake, tmp_path)


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_changes_meanwhile_is_told(place: str, hub: str, fake: FlakyHub, tmp_path: Path) -> None:
    cut = Fault("cut", PLACES[place])
    fake.faults.append(cut)
    real = fake.fault_in

    def changing(start: int, end: int) -> Fault | None:
        if cut.happened:
            fake.etags[FILE] = '"another"'
        return real(start, end)

    fake.fault_in = changing  # type: ignore[method-assign]
    assert refused(hub, fake, tmp_path).code == "changed"
    fetch(hub, fake, tmp_path)
    assert is_right(fake, tmp_path)


@pytest.mark.parametrize("hub", HUBS)
def test_wrong_bytes_that_keep_coming_are_thrown_away(hub: str, fake: FlakyHub, tmp_path: Path) -> None:
    fake.faults.append(Fault("flip", PLACES["middle"], times=10**6))
    assert refused(hub, fake, tmp_path).code == "corrupt"
    assert list((tmp_path / ".partial").glob("*.*nc*")) == []
    assert fake.served[FILE] <= 2 * SIZE + PIECE


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("place", PLACES)
def test_a_byte_that_flips_on_the_disk_costs_its_piece(place: str, hub: str, fake: FlakyHub, tmp_path: Path) -> None:
    flipped = PLACES[place]
    cut = Fault("broken_server", PIECE + 5, times=10**6)
    fake.faults.append(cut)
    refused(hub, fake, tmp_path, msgspec.structs.replace(LIMITS, patience_s=0.5))
    assert fake.served[FILE] == SIZE - PIECE
    with incomplete(tmp_path).open("r+b") as data:
        old = os.pread(data.fileno(), 1, flipped)
        os.pwrite(data.fileno(), bytes([old[0] ^ 1]), flipped)
    cut.times = 0
    fetch(hub, fake, tmp_path)
    assert is_right(fake, tmp_path)
    damaged = SIZE % PIECE if place == "last" else PIECE
    assert fake.served[FILE] == SIZE + damaged


def test_pages_that_never_reached_the_disk_are_fetched_again(fake: FlakyHub, tmp_path: Path) -> None:
    """As after a power cut: the journal is there, bytes that it names are not."""
    cut = Fault("broken_server", 5, times=10**6)
    fake.faults.append(cut)
    refused("modelscope", fake, tmp_path, msgspec.structs.replace(LIMITS, patience_s=0.5))
    with incomplete(tmp_path).open("r+b") as data:
        os.pwrite(data.fileno(), bytes(2 * PIECE), 2 * PIECE)
    [journal] = (tmp_path / ".partial").glob("*.journal")
    journal.write_bytes(journal.read_bytes()[:-9] + b"\0" * 30)
    cut.times = 0
    fetch("modelscope", fake, tmp_path)
    assert is_right(fake, tmp_path)
    assert fake.served[FILE] <= SIZE + 3 * PIECE


def test_a_pause_that_the_hub_asks_for_is_kept_to(fake: FlakyHub, tmp_path: Path) -> None:
    fake.faults.append(Fault("busy", 5))
    begun = time.monotonic()
    fetch("modelscope", fake, tmp_path, msgspec.structs.replace(LIMITS, patience_s=0.2))
    assert time.monotonic() - begun >= 1.0
    assert is_right(fake, tmp_path)


def test_a_pause_longer_than_anybody_waits_is_told(fake: FlakyHub, tmp_path: Path) -> None:
    fake.faults.append(Fault("busy", 5, times=10**6))
    error = refused("modelscope", fake, tmp_path, msgspec.structs.replace(LIMITS, asked_patience_s=0.5))
    assert error.code == "busy" and "1 s" in error.message and "kept" in error.hint


def test_several_files_come_whole_one_by_one(tmp_path: Path) -> None:
    blobs = {f"part-{number}": Blob(number * PIECE // 2, seed=number) for number in range(9)}
    hub = FlakyHub(REPOSITORY, blobs)
    hub.faults += [Fault(kind, PIECE // 2 + 7) for kind in ("cut", "broken_server", "ended", "wrong_range")]
    with hub.serve():
        fetch("huggingface", hub, tmp_path, LIMITS, *(listed(hub, path) for path in blobs))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path: blob.part(0, len(blob)) for path, blob in blobs.items()
    }


@contextmanager
def child(hub: str, fake: FlakyHub, folder: Path, crash_at: str = "") -> Iterator[subprocess.Popen[bytes]]:
    patient = msgspec.structs.replace(LIMITS, stall_s=20.0, slow_window_s=20.0)  # on a busy machine nothing else is cut
    task = Task(hub, address(hub, fake.url), listed(fake), str(folder), patient)
    script = str(Path(__file__).parents[1] / "fakes" / "download_child.py")
    process = subprocess.Popen(
        [sys.executable, script, msgspec.json.encode(task).decode()], env=os.environ | {"TUNESMITH_CRASH_AT": crash_at}
    )
    yield process
    process.kill()
    process.wait()


CRASHES = [
    *(f"piece.{moment}:{time}" for moment in ("written", "journalled") for time in (1, 5, 20)),
    "download.verified",
    "download.renamed",
]


@pytest.mark.parametrize("crash_at", CRASHES)
def test_a_download_that_is_killed_at_a_crash_point_goes_on(crash_at: str, fake: FlakyHub, tmp_path: Path) -> None:
    fake.speed = PIECE / 2 if crash_at.startswith("piece") else 0.0
    with child("modelscope", fake, tmp_path, crash_at) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert (tmp_path / FILE).exists() == (crash_at == "download.renamed")
    fake.speed = 0.0
    with child("modelscope", fake, tmp_path) as process:
        assert process.wait(60) == 0
    assert is_right(fake, tmp_path)
    assert fake.served[FILE] <= SIZE + PIECE


@pytest.mark.parametrize("hub", HUBS)
def test_random_kills_cost_at_most_a_piece_each(hub: str, fake: FlakyHub, tmp_path: Path) -> None:
    seed = int(os.environ.get("TUNESMITH_FAULT_SEED", "20"))
    print(f"seed {seed}")
    moments = random.Random(seed)
    fake.speed = PIECE / 2
    kills = 0
    for _ in range(6):
        before = fake.served[FILE]
        with child(hub, fake, tmp_path) as process:
            while process.poll() is None and fake.served[FILE] - before < moments.uniform(0, 1.2 * PIECE):
                time.sleep(0.005)
            kills += process.poll() is None
        assert not (tmp_path / FILE).exists() or process.returncode == 0
    fake.speed = 0.0
    with child(hub, fake, tmp_path) as process:
        assert process.wait(60) == 0
    assert is_right(fake, tmp_path)
    assert kills >= 3
    assert fake.served[FILE] <= SIZE + kills * PIECE


def test_a_download_that_is_given_up_leaves_what_arrived(fake: FlakyHub, tmp_path: Path) -> None:
    fake.faults.append(Fault("black_hole", SIZE - 5, times=10**6))

    def give_up(done: int, total: int) -> None:
        if done > SIZE - PIECE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch_files(
            card("modelscope", fake.url), REPOSITORY, "model", COMMIT, [listed(fake)], tmp_path, give_up, LIMITS
        )
    marks = [json.loads(line) for line in next((tmp_path / ".partial").glob("*.journal")).read_text().splitlines()[1:]]
    assert sum({mark["piece"]: mark["bytes"] for mark in marks}.values()) > SIZE - PIECE
    fake.faults.clear()
    before = fake.served[FILE]
    fetch("modelscope", fake, tmp_path)
    assert is_right(fake, tmp_path)
    assert fake.served[FILE] - before < PIECE
