"""What every test may rely on."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard() -> None:
    """A test runner in the background ignores ctrl-c, and would hand that on to the programs the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
