"""A job named in a line: enter or a click opens its result, or the run while it has none."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from tunesmith.tui.messages import OpenResult, OpenRun


class JobLink(Static, can_focus=True):
    """Shown once it is told which job to `lead_to`."""

    DEFAULT_CSS = """
    JobLink { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; display: none; }
    JobLink:focus, JobLink:hover { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "open", "jobs.key_open")]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(markup=False, id=id)
        self.job_id: int | None = None
        self.finished = True

    def lead_to(self, job_id: int | None, said: Content, *, finished: bool = True) -> None:
        """Hidden without a job."""
        self.job_id, self.finished = job_id, finished
        self.display = job_id is not None
        self.update(said)

    def action_open(self) -> None:
        if self.job_id is not None:
            self.post_message(OpenResult(self.job_id) if self.finished else OpenRun(self.job_id))

    def on_click(self) -> None:
        self.action_open()
