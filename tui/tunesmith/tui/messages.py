"""What steps and screens tell the app; the app alone decides which step is shown.

When the language changes, the app composes every step again (`refresh(recompose=True)`), so a step's `compose`
draws from what it keeps (the draft, the last JobView), never from what was on screen.
"""

from __future__ import annotations

from textual.message import Message


class GoTo(Message):
    """Show the step named `step` (one of `rail.STEPS`)."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.step = step


class Done(Message):
    """The step named `step` is filled in; go on to the next."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.step = step


class StartRun(Message):
    """Submit the draft as it is, or the starter's run with the draft left alone. `force`: although it does not fit."""

    def __init__(self, *, starter: bool = False, force: bool = False) -> None:
        super().__init__()
        self.starter = starter
        self.force = force


class JobStarted(Message):
    """The daemon has the job, or a job was found running: show it in step 6."""

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self.job_id = job_id


class JobEnded(Message):
    """The job reached a terminal `state` (daemon.api.view)."""

    def __init__(self, job_id: int, state: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.state = state


class OpenRun(Message):
    """Show step 6 with this job."""

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self.job_id = job_id


class OpenResult(Message):
    """Show step 7 with this job."""

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self.job_id = job_id


class OpenChat(Message):
    """Push the chat screen with this job's model."""

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self.job_id = job_id
