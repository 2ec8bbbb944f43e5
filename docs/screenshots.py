"""The README's pictures, from a real job: `python docs/screenshots.py screenshot|result` with TUNESMITH_HOME set.

`screenshot` wants a job that runs; `result` one that finished.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tunesmith.daemon.api.home import Home
from tunesmith.tui.app import TunesmithApp

SIZES = {"screenshot": (118, 36), "result": (118, 48)}
SETTLED_S = 6.0  # the daemon is asked, the job replayed, the chart drawn


async def main(name: str) -> None:
    app = TunesmithApp(Home.find())
    async with app.run_test(size=SIZES[name]) as pilot:
        await pilot.pause(SETTLED_S)
        if name == "result":
            await pilot.press("j")
            await pilot.pause(1.5)
            await pilot.press("enter")
            await pilot.pause(SETTLED_S)
        Path(__file__).with_name(f"{name}.svg").write_text(app.export_screenshot(title="tunesmith"), "utf-8")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
