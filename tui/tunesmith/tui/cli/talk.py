"""A talk with a run's model, its base, or both: questions, streaming, tools, and a ctrl-c that stops an answer only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from types import TracebackType
from typing import Any

import msgspec

from tunesmith.daemon.api.find import ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import Chat, ChatCalled, ChatDelta, ChatDone, ChatFailed
from tunesmith.daemon.api.tools import ToolCall
from tunesmith.recipes.errors import DaemonError, DataError, TunesmithError
from tunesmith.tui import attaching, chat_commands, votes
from tunesmith.tui.answering import Answer, fill_texts
from tunesmith.tui.chat_sides import Sides
from tunesmith.tui.cli import render, talk_commands
from tunesmith.tui.cli.session import find_run
from tunesmith.tui.cli.talk_kept import Kept
from tunesmith.tui.cli.tool_text import call_text, result_prompt, tools_text
from tunesmith.tui.conversation import Fill, Turn, messages, pending, question
from tunesmith.tui.explained import sentences
from tunesmith.tui.texts import t

ANEW = "/reset"


class Talk:
    """`with Talk(run, settings) as talk`; holds the event loop, so that ctrl-c ends an answer, not the talk.

    `one` is for one question, of which nothing is kept, as of what is piped in.
    """

    def __init__(self, run: str, settings: Chat, *, one: bool = False) -> None:
        self.run, self.settings = run, settings
        self.attached: list[Attached] = []  # to the next message
        self._at_terminal = at_terminal()
        self._keeps = self._at_terminal and not one
        self._runner = asyncio.Runner()

    def __enter__(self) -> Talk:
        home = Home.find()
        try:
            self._client = self._runner.run(ensure_daemon(home))
            self.job_id = self._runner.run(find_run(self._client, self.run, finished=True))
        except BaseException:
            self._runner.close()
            raise
        self.sides = Sides(home, self.job_id, anew=ANEW)
        self.kept = Kept(self.sides, keeps=self._keeps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def attach(self, text: str) -> None:
        """The image at a path as it is typed, to the next message. Raises TunesmithError."""
        found = attaching.typed(self._client, self.job_id, text, self.sides.urls(self.attached))
        self.attached.append(self._runner.run(found))

    def once(self, message: str, as_json: bool) -> None:
        """One question, and the answer of each model that is shown. Raises TunesmithError."""
        self._put(message)
        answers: dict[str, Any] = {}
        for base in self.sides.shown:
            self._heading(base, show=not as_json)
            answer = self._runner.run(self._stream(base, show=not as_json))
            answers["base" if base else "tuned"] = self._figures(answer)
            if not as_json:
                print()
        if not as_json:
            return
        told: dict[str, Any] = {"run": self.job_id}
        if len(answers) == 1:
            told |= {"base": self.sides.mode == "base", **next(iter(answers.values()))}
        else:
            told["answers"] = answers
        if self.attached:
            told["images"] = [{"name": i.name, "width": i.width, "height": i.height} for i in self.attached]
        render.print_json(told)

    def _figures(self, answer: Answer) -> dict[str, Any]:
        said: dict[str, Any] = {"answer": answer.text}
        if self.sides.tools:
            said["tool_calls"] = answer.calls
        return said | dict(msgspec.to_builtins(answer.done, builtin_types=()))

    def loop(self) -> None:
        """Read, answer, repeat, until ctrl-d, ctrl-c at the prompt or /quit."""
        if self._at_terminal:
            import readline  # noqa: F401 - gives input() line editing and recall

            self.say(t("talk.begun", id=self.job_id, mode=t(f"chat.mode_{self.sides.mode}")))
            if self.attached:
                self.say(attaching.attached_text(self.attached))
            if self.sides.tools:
                self.say(tools_text(self.sides.tools))
        self._go_on()
        while (line := self._read("> ")) is not None:
            if not line.startswith("/"):
                if line:
                    self._ask(line)
            elif chat_commands.parsed(line).name == talk_commands.QUIT:
                return
            else:
                self._command(line)
                self._go_on()

    def _command(self, line: str) -> None:
        try:
            self.say(talk_commands.run(self, line))
        except TunesmithError as error:
            if not self._at_terminal:
                raise
            self._say_error(error)

    def say(self, text: str, style: str = "dim") -> None:
        """Beside the answers."""
        render.err().print(text, style=style)

    def _read(self, prompt: str) -> str | None:
        """None at ctrl-d and at ctrl-c."""
        try:
            return input(prompt if self._at_terminal else "").strip()
        except (EOFError, KeyboardInterrupt):
            if self._at_terminal:
                print()
            return None

    def _put(self, question: str) -> None:
        """Into the conversation of each model that is shown. Raises DataError for more images than one takes."""
        self.sides.refuse_too_many(self.attached)
        self.sides.said = dict(self.sides.on_from_better)
        asked = Turn("user", question, images=tuple(self.attached), system=self.sides.system, tools=self.sides.tools)
        for base in self.sides.shown:
            self.sides.said[base] += (asked, Turn("assistant", "", "streaming"))

    def _ask(self, question: str) -> None:
        """With calls of tools and their results between; the images of what nobody answered go with the next."""
        try:
            self._put(question)
        except DataError as error:
            self._fail(error)
            return
        self.kept.save()
        with self._stoppable():
            for base in self.sides.shown:
                self._heading(base)
                self._reply(base)
                self._give_results(base)
        if any(self.sides.said[base][-1].text for base in self.sides.shown):
            self.attached.clear()
        self._ask_for_vote()

    def _go_on(self) -> None:
        """In a chat that was left where a tool's result was asked for."""
        if waiting := [base for base in self.sides.shown if pending(self.sides.said[base])]:
            with self._stoppable():
                for base in waiting:
                    self._give_results(base)

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Ctrl-c stops all answers; what there is of them is kept."""
        try:
            yield
        except KeyboardInterrupt:
            print()
            self.say(t("talk.stopped"))
        finally:
            self.sides.rest()
            self.kept.save()

    def _heading(self, base: bool, *, show: bool = True) -> None:
        """Whose answer follows, where both are asked."""
        if show and len(self.sides.shown) > 1:
            render.out().print(f"{t('chat.base') if base else t('chat.tuned')}:", style="bold")

    def _ask_for_vote(self) -> None:
        match self.sides.stand:
            case votes.Asking():
                self.say(t("talk.vote_how"))
            case votes.Impossible(why=why):
                self.say(why)

    def _reply(self, base: bool) -> None:
        """How long the answer is, how fast it came, and how full the context is, are said; also what went wrong."""
        try:
            turn = self._runner.run(self._stream(base, show=True)).turn
        except TunesmithError as error:
            self._fail(error)
            return
        self.kept.save()  # also where the terminal is closed before the next answer
        print()
        said, style = [turn.note], "dim"
        if turn.context:
            filled = Fill(turn.used, turn.context)
            said.append(fill_texts(filled, ANEW)[0])
            style = "yellow" if filled.nearly_full else style
        self.say(" · ".join(said), style)

    def _give_results(self, base: bool) -> None:
        """Of the tools that the model called, until it calls none; without one its question is taken back."""
        while calls := pending(self.sides.said[base]):
            if not (results := self._results(calls)):
                self.sides.said[base] += (Turn("assistant", "", "stopped"),)
                self.say(t("talk.taken_back"))
                return
            self.sides.said[base] += (*results, Turn("assistant", "", "streaming"))
            self._reply(base)

    def _results(self, calls: Sequence[ToolCall]) -> list[Turn]:
        """What a person says that the tools gave back; empty where one gave nothing."""
        self.say(t("talk.result_how"))
        results: list[Turn] = []
        for place, call in enumerate(calls):
            if not (text := self._read(result_prompt(calls, place))):
                return []
            results.append(Turn("tool", text, calls=(call,)))
        return results

    def _fail(self, error: TunesmithError) -> None:
        """The talk goes on where a person can do something about it; else raises it."""
        if isinstance(error, DaemonError) or not self._at_terminal:
            raise error
        self._say_error(error)

    def _say_error(self, error: TunesmithError) -> None:
        self.say(sentences(error), "red")

    async def _stream(self, base: bool, *, show: bool) -> Answer:
        """Print the answer as it comes, and put it in place of the one under way. Raises TunesmithError."""
        turns, answer = self.sides.said[base], Answer()
        asked = question(turns) or turns[0]
        sent = messages(turns[:-1], asked.system)
        request = msgspec.structs.replace(self.settings, messages=sent, base=base, tools=asked.tools)
        console = render.err()
        waiting = console.status(t("talk.thinking"))
        if console.is_terminal:
            waiting.start()
        try:
            async with aclosing(self._client.chat(self.job_id, request)) as events:  # type: ignore[type-var]
                async for event in events:
                    waiting.stop()
                    match event:
                        case ChatDelta(text=text) if show:
                            render.print_plain(text, end="")
                        case ChatCalled(call=call) if show:
                            render.print_plain(("\n" if answer.text or answer.calls else "") + call_text(call), end="")
                    answer.hear(event)
                    match event:
                        case ChatFailed(code=code, message=message, hint=hint):
                            raise TunesmithError(message, hint, code)
                        case ChatDone():
                            return answer
            raise DaemonError(
                "The answer broke off", "Ask again; `tunesmith daemon status` shows the daemon.", "broken_off"
            )
        except TunesmithError as error:
            answer.fail(error)
            raise
        finally:
            waiting.stop()
            self.sides.said[base] = (*turns[:-1], answer.turn)


def at_terminal() -> bool:
    """Whether a person types and reads."""
    return sys.stdin.isatty() and sys.stdout.isatty()
