"""What a finished run came to when it was evaluated again: each job, which can be opened, and its figures."""

from __future__ import annotations

from collections.abc import Sequence

from textual.containers import Vertical
from textual.content import Content

from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.job_head import MUTED, state_text
from tunesmith.tui.widgets.job_link import JobLink
from tunesmith.tui.widgets.score_summary import ScoreSummary


class LaterEvaluations(Vertical):
    """Of these jobs, newest first."""

    DEFAULT_CSS = """
    LaterEvaluations { height: auto; }
    LaterEvaluations ScoreSummary { padding-left: 2; margin-bottom: 1; }
    """

    async def show(self, jobs: Sequence[JobView]) -> None:
        async with self.batch():
            if len(self.query(JobLink)) != len(jobs):
                await self.remove_children()
                await self.mount(*(part for _ in jobs for part in (JobLink(), ScoreSummary())))
            for job, link, figures in zip(jobs, self.query(JobLink), self.query(ScoreSummary), strict=True):
                name = Content.assemble((t("run.job", id=job.id), "bold"), "  ", (one_line(job.name), MUTED), "  ")
                link.lead_to(job.id, name + state_text(job.state), finished=job.state == FINISHED)
                figures.view = job
