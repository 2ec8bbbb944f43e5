"""A window in which a job is put together and handed over: it stays open, and says why, where that is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import JobSpec
from tunesmith.tui.submission import key_of, submission
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients


class SubmittingScreen(ModalScreen[JobView | None]):
    """Dismissed with the job that was made, or None. What is made of it is drawn by `draw`.

    The same recipe again, after an answer that never came, is the same job.
    """

    COPIED: ClassVar[str]  # the text that says what was copied

    def __init__(self, clients: Clients) -> None:
        super().__init__()
        self._clients = clients
        self._opened = uuid.uuid4()
        self.busy = False  # while the daemon is asked
        self.refusal: TunesmithError | None = None  # the daemon's, or of files, until something is typed

    def begin(self) -> None:
        """Once it is composed, also in another language."""

    def draw(self) -> None:
        """What is typed, what is wrong with it, and what can be done."""

    def said(self) -> str:
        """The command that does the same; empty where there is none."""
        return ""

    async def recompose(self) -> None:
        """A change of language."""
        await super().recompose()
        self.begin()

    def on_mount(self) -> None:
        self.begin()

    async def hand_over(self, made: Callable[[], JobSpec]) -> None:
        """What is `made`; a refusal of that too is shown."""
        self.busy = True
        self.draw()
        try:
            spec = made()
            view = await (await self._clients()).submit(submission(key_of(self._opened, spec), spec))
        except TunesmithError as error:
            self.busy, self.refusal = False, error
            self.draw()
            return
        self.dismiss(view)

    def enable(self, *actions: str) -> None:
        """Their buttons as their keys are."""
        for action in actions:
            self.query_one(f"#{action}", Button).disabled = not self.check_action(action, ())
        self.refresh_bindings()

    @on(Input.Submitted)
    def _next(self) -> None:
        self.focus_next()

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.said())
        self.app.notify(t("copy.copied", what=t(self.COPIED)), markup=False)

    def action_leave(self) -> None:
        self.dismiss(None)
