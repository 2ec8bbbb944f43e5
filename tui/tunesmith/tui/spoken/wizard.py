"""The seven steps one after the other, back and forth, as the wizard on screen takes them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import Callable

from tunesmith.daemon.api import find
from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import JobSpec
from tunesmith.tui import texts
from tunesmith.tui.draft import Draft
from tunesmith.tui.evaluating import Evaluable, evaluable
from tunesmith.tui.plain import plain
from tunesmith.tui.planning import Planning
from tunesmith.tui.screens.result import can_chat
from tunesmith.tui.spoken import job, steps
from tunesmith.tui.spoken.asking import Asker, Back, Quit
from tunesmith.tui.spoken.chat import SpokenChat
from tunesmith.tui.spoken.data import data
from tunesmith.tui.spoken.evaluate import evaluate
from tunesmith.tui.spoken.recipe import recipe
from tunesmith.tui.submission import submission
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.rail import STEPS

FOLLOW, ANEW, CHAT, EVALUATE, LEAVE = "follow", "anew", "chat", "evaluate", "leave"


class SpokenWizard:
    def __init__(self, home: Home, ask: Asker) -> None:
        self.home, self.ask = home, ask
        self.draft = Draft.starter()
        self.planning = Planning(home, self.draft)
        self.client: Client | None = None
        self.job_id: int | None = None  # of a run that has not ended

    def run(self) -> None:
        """Until the person leaves; a run goes on, and is said to."""
        self.ask.say(t("spoken.lead"))
        with asyncio.Runner() as runner:
            try:
                self._begin(runner)
            except (Quit, KeyboardInterrupt):
                pass
            finally:
                if self.job_id is not None:
                    self.ask.say(t("app.goes_on", job=self.job_id))
                if self.client is not None:
                    runner.run(self.client.close())

    def _begin(self, runner: asyncio.Runner) -> None:
        left = runner.run(self._running())
        if left is not None:
            options = ((FOLLOW, t("spoken.follow")), (ANEW, t("spoken.anew")))
            question = t("spoken.running_question", id=left.id, name=plain(left.name))
            while (chosen := self._first(question, options)) is None:
                self.ask.say(t("spoken.first"))
            if chosen == FOLLOW:
                self._accompany(runner, left)
                return
        while True:
            draft, force = self._steps()
            try:
                view = runner.run(self._submit(draft, force))
            except TunesmithError as error:
                self.ask.fault(error)
                continue
            self._accompany(runner, view)
            return

    def _first(self, question: str, options: tuple[tuple[str, str], ...]) -> str | None:
        try:
            return self.ask.choose(question, options, FOLLOW, t("spoken.running_why"))
        except Back:
            return None

    def _steps(self) -> tuple[Draft, bool]:
        """Steps 1 to 5: what is to be run, and whether although it does not fit. Raises Quit."""
        at = 0
        while True:
            self.ask.say(t("spoken.step", number=at + 1, total=len(STEPS), step=t(f"rail.{STEPS[at]}")))
            try:
                match STEPS[at]:
                    case "machine":
                        if steps.machine(self.ask, self.draft, self.planning) == steps.STARTER:
                            return Draft.starter(), False
                    case "goal":
                        steps.goal(self.ask, self.draft, self.planning)
                    case "model":
                        steps.model(self.ask, self.draft, self.planning)
                    case "data":
                        data(self.ask, self.draft, self.planning)
                    case _:
                        return self.draft, recipe(self.ask, self.draft, self.planning)
            except Back:
                at = max(0, at - 1)
            else:
                at += 1

    def _accompany(self, runner: asyncio.Runner, view: JobView) -> None:
        """To its end, then its result and what can be done with it."""
        self.ask.say(t("spoken.step", number=6, total=len(STEPS), step=t("rail.run")), t("spoken.run_lead"))
        ended = self._watched(runner, view)
        if ended is None or ended.state != FINISHED:
            return
        self.ask.say(t("spoken.step", number=7, total=len(STEPS), step=t("rail.result")))
        job.result(self.ask, ended)
        options = [(EVALUATE, t("evaluate.key")), (LEAVE, t("keys.quit"))]
        if can_chat(ended):
            options.insert(0, (CHAT, t("result.chat")))
        while True:
            try:
                match self.ask.choose(t("spoken.result_question"), options, options[0][0], t("spoken.chat_why")):
                    case "chat":
                        self._chat(runner, ended.id)
                    case "evaluate":
                        self._evaluate(runner, ended.id)
                    case _:
                        return
            except Back:
                return

    def _watched(self, runner: asyncio.Runner, view: JobView) -> JobView | None:
        self.job_id = view.id
        ended = runner.run(job.watched(self.ask, self._daemon, view.id))
        if ended is not None:
            self.job_id = None
        return ended

    def _evaluate(self, runner: asyncio.Runner, job_id: int) -> None:
        """A job of its own, shown to its end; what is refused is said."""
        try:
            found = runner.run(self._evaluable(job_id))
            self.planning.look()
            view = runner.run(self._hand_over(evaluate(self.ask, found, self.planning)))
        except Back:
            return
        except TunesmithError as error:
            self.ask.fault(error)
            return
        if (ended := self._watched(runner, view)) is not None:
            job.result(self.ask, ended)

    async def _evaluable(self, job_id: int) -> Evaluable:
        return await evaluable(await self._daemon(), self.home, job_id)

    async def _hand_over(self, spec: JobSpec) -> JobView:
        self.ask.say(t("app.submitting"))
        return await (await self._daemon()).submit(submission(uuid.uuid4().hex, spec))

    def _chat(self, runner: asyncio.Runner, job_id: int) -> None:
        with contextlib.suppress(Back):
            SpokenChat(self.ask, self._daemon, job_id).run(runner)

    async def _daemon(self) -> Client:
        """A client whose daemon answers, which is started when none does. Raises DaemonError."""
        if self.client is None or not await self.client.healthy():
            old, self.client = self.client, await find.ensure_daemon(self.home)
            if old is not None:
                await old.close()
        return self.client

    async def _running(self) -> JobView | None:
        """The run that is at work; no daemon is started to ask."""
        try:
            self.client = await find.running(self.home)
            alive = [] if self.client is None else [v for v in await self.client.jobs() if not v.ended_already]
        except TunesmithError as error:
            self.ask.fault(error, "spoken.warning")
            return None
        return alive[-1] if alive else None

    async def _submit(self, draft: Draft, force: bool) -> JobView:
        spec = draft.spec()
        self.ask.say(t("app.submitting"))
        client = await self._daemon()
        view = await client.submit(self.planning.submission(draft, spec, force=force))
        draft.submitted()
        return view


def run(home: Home | None = None) -> None:
    """In this terminal, or with the answers that are piped in, which are written back as they are read."""
    texts.use(texts.from_environment(os.environ))
    SpokenWizard(home or Home.find(), Asker(reading(sys.stdin.isatty()), print)).run()


def reading(at_terminal: bool) -> Callable[[], str]:
    if at_terminal:
        return input

    def read() -> str:
        answer = input()
        print(f"> {plain(answer)}")
        return answer

    return read
