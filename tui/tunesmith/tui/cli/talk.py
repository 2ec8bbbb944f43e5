"""A conversation with a run's model: history, streaming, results of tools, and a ctrl-c that stops the answer only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any

import msgspec

from tunesmith.daemon.api.find import ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import Chat, ChatCalled, ChatDelta, ChatDone, ChatFailed, ChatMessage
from tunesmith.daemon.api.tools import ToolCall
from tunesmith.recipes.errors import DaemonError, TunesmithError
from tunesmith.tui import attaching
from tunesmith.tui.cli import render
from tunesmith.tui.cli.session import find_run
from tunesmith.tui.cli.tool_text import call_text, result_prompt, tools_text
from tunesmith.tui.plain import one_line

HELP = (
    "/reset forgets the conversation, /system TEXT sets the system prompt, /base switches the model, "
    "/image PATH attaches an image, /tools shows what the model may call, /quit leaves"
)
RESULT_HELP = "type what the tool gave back, in one line; an empty one takes your question back"


class Said:
    """An answer, as far as it came."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.calls: list[ToolCall] = []

    def __bool__(self) -> bool:
        return bool(self.parts or self.calls)

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def message(self) -> ChatMessage:
        return ChatMessage("assistant", self.text, tool_calls=tuple(self.calls))


class Talk:
    """`with Talk(run, settings, system) as talk`; holds the event loop, so that ctrl-c ends an answer, not the talk."""

    def __init__(self, run: str, settings: Chat, system: str | None) -> None:
        self.run, self.settings, self.system = run, settings, system
        self.history: list[ChatMessage] = []
        self.attached: list[Attached] = []  # to the next message
        self._at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self._runner = asyncio.Runner()

    def __enter__(self) -> Talk:
        try:
            self._client = self._runner.run(ensure_daemon(Home.find()))
            self.job_id = self._runner.run(find_run(self._client, self.run, finished=True))
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def attach_all(self, paths: Iterable[str]) -> None:
        """To the next message. Raises TunesmithError."""
        for path in paths:
            self._runner.run(self._attach(path))

    async def _attach(self, text: str) -> None:
        await attaching.refuse_blind(self._client, self.job_id, (self.settings.base,))
        urls = [url for message in self.history for url in message.images] + [image.url for image in self.attached]
        self.attached.append(await attaching.read(attaching.typed_path(text), (urls,)))

    def _question(self, text: str) -> ChatMessage:
        return ChatMessage("user", text, tuple(image.url for image in self.attached))

    def once(self, message: str, as_json: bool) -> None:
        """One question, one answer."""
        self.history.append(self._question(message))
        said = Said()
        done = self._runner.run(self._answer(said, show=not as_json))
        if as_json:
            answer: dict[str, Any] = {"run": self.job_id, "base": self.settings.base, "answer": said.text}
            if self.attached:
                answer["images"] = [{"name": i.name, "width": i.width, "height": i.height} for i in self.attached]
            if self.settings.tools:
                answer["tool_calls"] = said.calls
            render.print_json(answer | msgspec.to_builtins(done, builtin_types=()))
        else:
            print()

    def loop(self) -> None:
        """Read, answer, repeat, until ctrl-d, ctrl-c at the prompt or /quit."""
        if self._at_terminal:
            import readline  # noqa: F401 - gives input() line editing and recall

            which = "the untuned model" if self.settings.base else "the tuned model"
            render.err().print(f"run {self.job_id}, {which}. {HELP}", style="dim")
            if self.attached:
                render.err().print(self._attached_text(), style="dim")
            if self.settings.tools:
                render.err().print(tools_text(self.settings.tools), style="dim")
        while (line := self._read("> ")) is not None and line != "/quit":
            if line.startswith("/"):
                try:
                    self._command(line)
                except TunesmithError as error:
                    self._say(error)
            elif line:
                self._turn(line)

    def _read(self, prompt: str) -> str | None:
        """None at ctrl-d and at ctrl-c."""
        try:
            return input(prompt if self._at_terminal else "").strip()
        except (EOFError, KeyboardInterrupt):
            if self._at_terminal:
                print()
            return None

    def _command(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        if name == "/reset":
            self.history.clear()
            said = "forgotten"
        elif name == "/system":
            self.system = rest.strip() or None
            said = f"system prompt: {self.system or '(none)'}"
        elif name == "/base":
            self.settings = msgspec.structs.replace(self.settings, base=not self.settings.base)
            said = "now the untuned model" if self.settings.base else "now the tuned model"
        elif name == "/image":
            if rest.strip():
                self._runner.run(self._attach(rest))
            else:
                self.attached.clear()
            said = self._attached_text()
        elif name == "/tools":
            said = tools_text(self.settings.tools)
        else:
            said = HELP
        render.err().print(said, style="dim")

    def _attached_text(self) -> str:
        if not self.attached:
            return "no image goes with the next message"
        found = ", ".join(f"{one_line(image.name)} ({image.width} x {image.height})" for image in self.attached)
        return f"with the next message: {found}; /image alone takes back"

    def _turn(self, line: str) -> None:
        """A question and its answer, with calls of tools and their results between; what was said stays in the history.

        A question that was not answered is taken back, and its images are attached to the next.
        """
        begun = len(self.history)
        self.history.append(self._question(line))
        try:
            while calls := self._reply():
                if not (results := self._results(calls)):
                    render.err().print("taken back", style="dim")
                    break
                self.history += results
        except KeyboardInterrupt:
            print()
            render.err().print("stopped; ctrl-c again leaves", style="dim")
        except TunesmithError as error:
            self._say(error)
        last = self.history[-1]
        if last.role == "assistant" and not last.tool_calls:
            self.attached.clear()
        else:
            del self.history[begun:]

    def _reply(self) -> list[ToolCall]:
        """The calls in the model's answer to the history, which it is added to as far as it came."""
        said = Said()
        try:
            done = self._runner.run(self._answer(said, show=True))
        finally:
            if said:
                self.history.append(said.message())
        print()
        cut = ", cut at --max-tokens" if done.finish_reason == "length" else ""
        render.err().print(f"{done.tokens} tokens, {done.tokens_per_second:.1f} tokens/s{cut}", style="dim")
        return said.calls

    def _results(self, calls: Sequence[ToolCall]) -> list[ChatMessage]:
        """What a person says that the tools gave back; empty where one gave nothing."""
        render.err().print(RESULT_HELP, style="dim")
        results: list[ChatMessage] = []
        for place, call in enumerate(calls):
            if not (text := self._read(result_prompt(calls, place))):
                return []
            results.append(ChatMessage("tool", text, tool_call_id=call.id))
        return results

    def _say(self, error: TunesmithError) -> None:
        """The talk goes on where a person can do something about it; else raises it."""
        if isinstance(error, DaemonError) or not sys.stdin.isatty():
            raise error
        render.err().print(f"{error.message}. {error.hint}", style="red")

    async def _answer(self, said: Said, *, show: bool) -> ChatDone:
        """Add the answer to `said` and print it, as it comes. Raises TunesmithError."""
        system = (ChatMessage("system", self.system),) if self.system else ()
        request = msgspec.structs.replace(self.settings, messages=(*system, *self.history))
        console = render.err()
        waiting = console.status("thinking (the first answer loads the model)")
        if console.is_terminal:
            waiting.start()
        try:
            async with aclosing(self._client.chat(self.job_id, request)) as events:  # type: ignore[type-var]
                async for event in events:
                    waiting.stop()
                    match event:
                        case ChatDelta(text=text):
                            said.parts.append(text)
                            if show:
                                render.print_plain(text, end="")
                        case ChatCalled(call=call):
                            if show:
                                render.print_plain(("\n" if said else "") + call_text(call), end="")
                            said.calls.append(call)
                        case ChatFailed(code=code, message=message, hint=hint):
                            raise TunesmithError(message, hint, code)
                        case ChatDone():
                            return event
        finally:
            waiting.stop()
        raise DaemonError(
            "The answer broke off", "Ask again; `tunesmith daemon status` shows the daemon.", "broken_off"
        )
