"""A started daemon with a toy worker, over a home in the test's own folder."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
sys.path.insert(0, str(Path(__file__).parent))

import disk_shim
from daemon_process import DaemonProcess
from dice import SEED, TIMES


def pytest_report_header() -> str:
    return f"faults: seed {SEED} (TUNESMITH_FAULT_SEED), {TIMES:g} times CI's counts (TUNESMITH_FAULT_TIMES)"


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "home")
    await process.start()
    yield process
    await process.tidy()


@pytest.fixture
async def chained(tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    """Not started; its workers' results prove what they did."""
    process = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_MODULE="toy_chain")
    yield process
    await process.tidy()


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands between a process and its disk."""
    return disk_shim.compiled(tmp_path_factory.mktemp("disk-shim"))
