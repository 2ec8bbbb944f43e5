"""A conversation with a run's model: history, streaming, and a ctrl-c that stops the answer only."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from types import TracebackType

import msgspec

from tunesmith.daemon.api.find import ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone, ChatFailed, ChatMessage
from tunesmith.recipes.errors import DaemonError, TunesmithError
from tunesmith.tui.cli import render
from tunesmith.tui.cli.session import find_run

HELP = "/reset forgets the conversation, /system TEXT sets the system prompt, /base switches the model, /quit leaves"


class Talk:
    """`with Talk(run, settings, system) as talk`; holds the event loop, so that ctrl-c ends an answer, not the talk."""

    def __init__(self, run: str, settings: Chat, system: str | None) -> None:
        self.run, self.settings, self.system = run, settings, system
        self.history: list[ChatMessage] = []
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

    def once(self, message: str, as_json: bool) -> None:
        """One question, one answer."""
        self.history.append(ChatMessage("user", message))
        parts: list[str] = []
        done = self._runner.run(self._answer(parts, show=not as_json))
        if as_json:
            answer = {"run": self.job_id, "base": self.settings.base, "answer": "".join(parts)}
            render.print_json(answer | msgspec.to_builtins(done, builtin_types=()))
        else:
            print()

    def loop(self) -> None:
        """Read, answer, repeat, until ctrl-d, ctrl-c at the prompt or /quit."""
        at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        if at_terminal:
            import readline  # noqa: F401 - gives input() line editing and recall

            which = "the untuned model" if self.settings.base else "the tuned model"
            render.err().print(f"run {self.job_id}, {which}. {HELP}", style="dim")
        while True:
            try:
                line = input("> " if at_terminal else "").strip()
            except (EOFError, KeyboardInterrupt):
                if at_terminal:
                    print()
                return
            if line == "/quit":
                return
            if line.startswith("/"):
                self._command(line)
            elif line:
                self._turn(line)

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
        else:
            said = HELP
        render.err().print(said, style="dim")

    def _turn(self, line: str) -> None:
        """A question and its answer; what was said before ctrl-c stays in the history."""
        self.history.append(ChatMessage("user", line))
        parts: list[str] = []
        try:
            done = self._runner.run(self._answer(parts, show=True))
            print()
            cut = ", cut at --max-tokens" if done.finish_reason == "length" else ""
            render.err().print(f"{done.tokens} tokens, {done.tokens_per_second:.1f} tokens/s{cut}", style="dim")
        except KeyboardInterrupt:
            print()
            render.err().print("stopped; ctrl-c again leaves", style="dim")
        except TunesmithError as error:
            if isinstance(error, DaemonError) or not sys.stdin.isatty():
                raise
            render.err().print(f"{error.message}. {error.hint}", style="red")
        if parts:
            self.history.append(ChatMessage("assistant", "".join(parts)))
        else:
            self.history.pop()

    async def _answer(self, parts: list[str], *, show: bool) -> ChatDone:
        """Append the answer's pieces to `parts` and print them as they come. Raises TunesmithError."""
        said = (ChatMessage("system", self.system),) if self.system else ()
        request = msgspec.structs.replace(self.settings, messages=(*said, *self.history))
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
                            parts.append(text)
                            if show:
                                render.print_plain(text, end="")
                        case ChatFailed(code=code, message=message, hint=hint):
                            raise TunesmithError(message, hint, code)
                        case ChatDone():
                            return event
        finally:
            waiting.stop()
        raise DaemonError(
            "The answer broke off", "Ask again; `tunesmith daemon status` shows the daemon.", "broken_off"
        )
