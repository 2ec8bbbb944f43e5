"""Files say format and version; a newer Tunesmith's are refused and left alone, an older one's are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import journal, recovery, submitted
from tunesmith.daemon.api import events as e
from tunesmith.daemon.recovery import WorkerRecord
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.errors import JobError

READERS: dict[str, Callable[[Path], object]] = {
    "submitted.json": lambda path: submitted.read(path.parent),
    "worker-1.json": recovery.load,
    "journal-1.jsonl": lambda path: journal.read(path, 0),
}


def written(folder: Path) -> None:
    submitted.write(folder, Submitted(key="key"))
    (folder / "worker-1.json").write_bytes(WorkerRecord(7, 1.0, "boot", 7).encode())
    journal.begin(folder / "journal-1.jsonl")


@pytest.mark.parametrize("name", READERS)
def test_every_file_says_what_it_is(tmp_path: Path, name: str) -> None:
    written(tmp_path)
    said = msgspec.json.decode((tmp_path / name).read_bytes(), type=dict[str, Any])
    assert said["format"].startswith("tunesmith-") and said["version"] == 1
    READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", READERS)
def test_a_newer_one_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    written(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":99'))
    before = path.read_bytes()
    with pytest.raises(JobError) as refused:
        READERS[name](path)
    assert refused.value.code == "newer_version" and str(path) in refused.value.message
    assert path.read_bytes() == before


def test_what_the_first_version_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "submitted.json").write_bytes(b'{"rows":null}')
    (tmp_path / "worker-1.json").write_bytes(b'{"pid":7,"start_time":1.0,"boot":"boot","group":7}')
    step = e.Notice(time=1.0, level="info", text="hello")
    (tmp_path / "journal-1.jsonl").write_bytes(e.encode(step) + b"\n")
    assert submitted.read(tmp_path) == Submitted()
    record = recovery.load(tmp_path / "worker-1.json")
    assert record is not None and record.pid == 7
    assert journal.read(tmp_path / "journal-1.jsonl", 0).events == (step,)


def test_the_first_line_of_a_journal_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "journal-1.jsonl"
    journal.begin(path)
    with path.open("ab") as file:
        file.write(e.encode(e.Notice(time=1.0, level="info", text="hello")) + b"\n")
    piece = journal.read(path, 0)
    assert len(piece.events) == 1 and piece.offset == path.stat().st_size


async def test_a_worker_of_a_newer_tunesmith_is_left_alone_and_its_job_says_so(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.02")
    await daemon.until_step(1, 1)
    daemon.end(9)
    (worker,) = daemon.workers()
    path = daemon.home.job(1) / "worker-1.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":99'))
    await daemon.start()
    view = await daemon.until(1, "failed")
    assert view.error is not None and view.error.code == "newer_version"
    assert worker.is_running() and b'"version":99' in path.read_bytes()
