"""Steps 6 and 7 in plain lines: a run as sentences at a bounded rate, and its result."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.message import Message

from tunesmith.daemon.api.events import DataChecked, Notice
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui.explained import told
from tunesmith.tui.job_text import shrunk_text, waiting_text
from tunesmith.tui.plain import one_line
from tunesmith.tui.reproduce import command
from tunesmith.tui.screens.result import head
from tunesmith.tui.spoken.asking import Asker
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients, JobUnknown, JobUpdated, LinkChanged, follow
from tunesmith.tui.widgets.benchmark_lines import benchmark_lines
from tunesmith.tui.widgets.feed import item
from tunesmith.tui.widgets.metrics import figures
from tunesmith.tui.widgets.score_summary import held, measured
from tunesmith.tui.widgets.stage_chain import details

EVERY_S = 15.0  # a sentence read aloud takes some seconds; between them one wants to do something else
FIGURES_SAID = 3  # step, loss, tokens a second
LINE_CELLS = 200  # a line is not drawn here, so nothing of it is cut


class Reporter:
    """Says what is new from one view of a job to the next, and how far it is every EVERY_S."""

    def __init__(self, ask: Asker, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self.view: JobView | None = None
        self.error: TunesmithError | None = None
        self._said_at = clock()

    def hear(self, message: Message) -> None:
        match message:
            case JobUpdated(view=view):
                self._changes(self.view, view)
                self.view = view
            case LinkChanged(error=None):
                self._ask.say(t("spoken.link_back"))
            case LinkChanged(error=error) if error is not None:
                self._ask.say(f"{t('spoken.warning')} {t('run.link_lost')}", told(error)[0])
            case JobUnknown(error=error):
                self.error = error
                self._ask.fault(error)

    def _changes(self, before: JobView | None, view: JobView) -> None:
        said: list[str] = []
        if before is None or before.state != view.state:
            said.append(f"{t('run.job', id=view.id)} {one_line(view.name)}: {t(f'run.state_{view.state}')}.")
        for text in (waiting_text, shrunk_text):
            if text(view) and (before is None or text(before) != text(view)):
                said.append(text(view))
        earlier = {stage.name: stage.state for stage in before.stages} if before else {}
        for stage in view.stages:
            was, name = earlier.get(stage.name, "waiting"), t(f"run.stage_{stage.name}")
            if was == "waiting" != stage.state:
                said.append(f"{name}: {t(f'run.why_{stage.name}')}")
            if stage.state in ("done", "failed") and was != stage.state:
                said.append(f"{name}: {t(f'spoken.stage_{stage.state}')} {details(stage)}")
        data, notices = (len(before.data), len(before.notices)) if before else (0, 0)
        fresh: list[DataChecked | Notice] = [*view.data[data:], *view.notices[notices:]]
        said += [item(event).plain for event in fresh]
        if not said and self._clock() - self._said_at >= EVERY_S and not view.ended_already:
            said += [progress(view)]
        if view.error is not None and view.ended_already:
            message, hint = told(view.error)
            said += [f"{t('spoken.error')} {message}", hint]
        if said:
            self._said_at = self._clock()
            self._ask.say(*said)


def progress(view: JobView) -> str:
    """How far the stage at work is, in a sentence; empty between stages."""
    stage = next((stage for stage in view.stages if stage.state == "running"), None)
    if stage is None:
        return ""
    parts = [details(stage)]
    if stage.name == "train" and view.step is not None:
        parts += [f"{label} {value}" for label, value in figures(view.step)[:FIGURES_SAID]]
    return f"{t(f'run.stage_{stage.name}')}: {', '.join(filter(None, parts))}."


async def watched(ask: Asker, clients: Clients, job_id: int) -> JobView | None:
    """Followed to its end; None for a job that the daemon does not show."""
    reporter = Reporter(ask)
    await follow(clients, job_id, reporter.hear)
    return None if reporter.error is not None else reporter.view


def result(ask: Asker, view: JobView) -> None:
    ask.say(t("result.title"), head(view, None))
    ask.say(*measured(view, LINE_CELLS), *benchmark_lines(view, LINE_CELLS), *held(view, LINE_CELLS))
    for verified in view.verified:
        passed = t("result.passed") if verified.passed else t("result.failed")
        ask.say(f"{one_line(verified.key)}: {passed}")
    for artifact in view.artifacts:
        ask.say(f"{one_line(artifact.key)}: {one_line(view.folder)}/{one_line(artifact.path)}")
    ask.say(f"{t('result.again')}: {command(view)}")
