"""What every test may rely on."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key  # the real one: what a test prints is captured
from hypothesis import settings

HANGS_AFTER_S = 60  # more than a test's timeout, whose exception an event loop or a library can swallow

settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's matter
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def a_hang_ends(request: pytest.FixtureRequest) -> Iterator[None]:
    """What outlives its timeout, in a library's native code too, says where it stands and ends its process."""
    marker = request.node.get_closest_marker("timeout")
    limit = float(marker.args[0] if marker else request.config.getini("timeout"))
    stderr = request.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(limit + HANGS_AFTER_S, exit=True, file=stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard() -> None:
    """A test runner in the background ignores ctrl-c, and would hand that on to the programs the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def templates_may_run_here() -> None:
    """Tests call what the product calls in children; those that are about these children start them."""
    from tunesmith.recipes.data import limited

    limited.stay()


@pytest.fixture(scope="session")
def starter_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter's real tokenizer and chat template in a folder, as a model has them."""
    import gguf

    from tunesmith.daemon.worker import fetch, starter

    folder = tmp_path_factory.mktemp("models") / "starter-tokenizer"
    folder.mkdir()
    reader = gguf.GGUFReader(fetch.starter_gguf())
    starter.write_tokenizer({key: field.contents() for key, field in reader.fields.items()}, folder)
    return folder
