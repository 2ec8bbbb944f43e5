"""A real Chromium without a window, driven over its debugging socket: enough to open a page, press keys and look."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 90.0
KEY_CODES = {"Enter": 13, "Escape": 27, "Tab": 9}


class Chromium:
    """`async with Chromium(folder) as page`; `seen` is what the terminal in the page was sent over its socket."""

    def __init__(self, folder: Path, width: int = 1200, height: int = 720) -> None:
        self.folder, self.size = folder, (width, height)
        self.seen = ""
        self.requests: list[str] = []
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Chromium:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        assert program is not None, f"none of {', '.join(NAMES)} is on PATH"
        width, height = self.size
        self._process = await asyncio.create_subprocess_exec(
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={self.folder}",
            f"--window-size={width},{height}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        active = self.folder / "DevToolsActivePort"
        await self.until(lambda: active.is_file() and len(active.read_text().splitlines()) == 2)
        port = active.read_text().splitlines()[0]
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json") as answer:
            (target,) = [one for one in await answer.json() if one["type"] == "page"]
        self._socket = await self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        await self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # as if its window were in front
        for domain in ("Page", "Network"):
            await self.call(f"{domain}.enable")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._socket.close()
        await self._reading
        await self._session.close()
        self._process.terminate()
        await self._process.wait()

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said["method"] == "Network.requestWillBeSent":
                self.requests.append(said["params"]["request"]["url"])
            elif said["method"] == "Network.webSocketFrameReceived" and said["params"]["response"]["opcode"] == 2:
                self.seen += base64.b64decode(said["params"]["response"]["payloadData"]).decode("utf-8", "replace")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        said = await asyncio.wait_for(answer, PATIENCE_S)
        assert "error" not in said, said
        result: dict[str, Any] = said["result"]
        return result

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def evaluate(self, script: str) -> Any:
        said = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return said["result"].get("value")

    async def press(self, *keys: str) -> None:
        """A letter, or the name of a key."""
        for key in keys:
            code = KEY_CODES.get(key, ord(key.upper()[0]))
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            down = "keyDown" if text else "rawKeyDown"
            await self.call("Input.dispatchKeyEvent", type=down, key=key, text=text, windowsVirtualKeyCode=code)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def picture(self, path: Path) -> None:
        said = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(said["data"]))

    async def shows(self, text: str, seconds: float = PATIENCE_S) -> None:
        await self.until(lambda: text in self.seen, seconds)

    async def until(self, true: Callable[[], object], seconds: float = PATIENCE_S) -> None:
        for _ in range(round(seconds * 10)):
            if true():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not within {seconds} s; the end of what was shown: {self.seen[-500:]!r}")
