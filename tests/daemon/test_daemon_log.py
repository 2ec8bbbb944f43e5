"""The daemon's log stays small whatever happens: what is said without end is counted, and long lines are cut."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import log


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[logging.Logger]:
    handler = log.Handler(tmp_path / "daemon.log", burst_s=1000)
    handler.setFormatter(log.Formatter("%(levelname)s %(message)s"))
    found = logging.Logger("tunesmith.test", logging.INFO)
    found.addHandler(handler)
    yield found
    handler.close()


def lines(folder: Path) -> list[str]:
    return (folder / "daemon.log").read_text().splitlines()


def test_a_message_without_end_becomes_one_line_with_a_count(logger: logging.Logger, tmp_path: Path) -> None:
    for number in range(10_000):
        logger.error("no descriptors left, try %d", number)
    logger.info("something else")
    assert len(lines(tmp_path)) == log.BURST + 1
    logger.handlers[0].close()
    *_, told = lines(tmp_path)
    assert told == "ERROR 9980 more like this one were left out: no descriptors left, try 9999"


def test_what_is_said_again_later_is_written_again(tmp_path: Path) -> None:
    handler = log.Handler(tmp_path / "daemon.log", burst_s=0)
    found = logging.Logger("tunesmith.test")
    found.addHandler(handler)
    for number in range(2 * log.BURST):
        found.error("now and then %d", number)
    handler.close()
    assert len(lines(tmp_path)) == 2 * log.BURST


def test_one_place_that_says_much_does_not_silence_the_others(logger: logging.Logger, tmp_path: Path) -> None:
    for _ in range(1000):
        logger.error("flood")
    logger.error("important")
    assert lines(tmp_path)[-1] == "ERROR important"


def test_a_line_has_an_end(logger: logging.Logger, tmp_path: Path) -> None:
    logger.error("x" * 5_000_000 + "the end")
    (line,) = lines(tmp_path)
    assert len(line) < 2 * log.LINE_CHARACTERS and line.startswith("ERROR xxx") and line.endswith("the end")


async def test_without_descriptors_the_daemon_neither_ends_nor_floods_its_log(tmp_path: Path) -> None:
    """More callers than descriptors: asyncio complains for each; afterwards all is as before."""
    daemon = DaemonProcess(tmp_path / "home")
    await daemon.start()
    assert daemon.process is not None
    if not hasattr(resource, "prlimit"):
        pytest.skip("this system cannot lower the limit of a process that runs")
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (40, hard))
    callers = []
    for _ in range(300):
        caller = socket.socket(socket.AF_UNIX)
        caller.setblocking(False)
        try:
            caller.connect(str(daemon.home.socket))
        except BlockingIOError:  # its queue is full: as good as refused
            caller.close()
            continue
        callers.append(caller)
    await asyncio.sleep(3)
    for caller in callers:
        caller.close()
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (1024, hard))
    for _ in range(100):
        if await daemon.client.healthy():
            break
        await asyncio.sleep(0.1)
    assert await daemon.client.healthy()
    await daemon.submit("steps=2")
    await daemon.until(1, "finished")
    assert daemon.home.log.stat().st_size < 100_000
    assert "Too many open files" in daemon.home.log.read_text()
    await daemon.tidy()
