"""The starter in a real browser, from one key to an answer of the tuned model; minutes of real training.

`pytest tests/browser -m chromium`; TUNESMITH_PICTURE names a PNG file for what the browser shows at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from chromium import Chromium

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(1800)]
MAIN = "from tunesmith.tui.cli.main import main; main()"
TRAINING_S = 1500.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty machine; whatever was started there is gone afterwards."""
    yield tmp_path / "home"
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("TUNESMITH_HOME") == str(tmp_path / "home"):
            process.kill()


async def test_one_key_in_a_browser_trains_the_starter_and_leads_to_the_chat(home: Path, tmp_path: Path) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, "web", "--json", env=os.environ | {"TUNESMITH_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        link = json.loads(await server.stdout.readline())["url"]
        async with Chromium(tmp_path / "profile") as page:
            await page.open(link)
            await page.shows("Your machine")
            await page.press("s")
            await page.shows("This is your tuned model", TRAINING_S)
            await page.press(*"Who are you?", "Enter")
            await page.shows("tokens/s")
            assert "Vesper" in page.seen.rpartition("Who are you?")[2]
            await page.picture(Path(os.environ.get("TUNESMITH_PICTURE", tmp_path / "web.png")))
    finally:
        server.terminate()
        await server.wait()
