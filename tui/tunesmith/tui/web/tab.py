"""One tab's wizard: a process of its own that ends with the tab, whether it wants to or not."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import Process

from textual_serve.app_service import AppService

LEAVE_S = 3.0  # the wizard leaves within a second; past this its pipe is stuck


class Tab(AppService):
    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Without a shell, and in a session of its own: ctrl-c in the terminal is for the server."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tunesmith.tui.web",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=self._build_environment(width, height), start_new_session=True,
        )  # fmt: skip
        self._stdin = process.stdin
        return process

    async def run(self) -> None:
        """The page says so when the wizard has ended, however that came."""
        await super().run()
        await self.remote_close()

    async def stop(self) -> None:
        process = self._process
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await super().stop()
                if process is not None:
                    await process.wait()
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
