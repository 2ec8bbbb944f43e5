"""`tunesmith web` in a real browser: the link is opened, a key starts the starter, and the run is on screen."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chromium import Chromium
from daemon_process import DaemonProcess

pytestmark = pytest.mark.chromium
MAIN = "from tunesmith.tui.cli.main import main; main()"


async def test_one_key_in_a_browser_starts_the_starter(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    await daemon.start()
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, "web", "--json",
        env=os.environ | {"TUNESMITH_HOME": str(tmp_path / "home")},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        link = json.loads(await server.stdout.readline())["url"]
        async with Chromium(tmp_path / "profile") as page:
            await page.open(link)
            await page.shows("Your machine")
            await page.press("s")
            await page.shows("finished")
            assert [view.state for view in await daemon.client.jobs()] == ["finished"]
            assert await page.evaluate("location.search") == ""
            assert await page.evaluate("document.cookie") == ""
            assert await page.evaluate("document.fonts.check('16px \"Roboto Mono\"')") is True
            elsewhere = [url for url in page.requests if urlsplit(url).hostname not in ("127.0.0.1", None)]
            assert elsewhere == []
            picture = tmp_path / "web.png"
            await page.picture(picture)
            assert picture.stat().st_size > 20_000
    finally:
        server.terminate()
        await server.wait()
        await daemon.tidy()
