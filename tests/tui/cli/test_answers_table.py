"""The answers in the terminal: before and after of a run, what was written of a job that only exported."""

from __future__ import annotations

import io

from rich.console import Console

from tunesmith.daemon.api.events import Answered
from tunesmith.daemon.api.view import JobView
from tunesmith.tui.cli.render import answers_table


def printed(*subjects: str) -> str:
    answers = tuple(
        Answered(time=0.0, subject=subject, row=0, question="Who are you?", answer=f"said by {subject}")
        for subject in subjects
    )
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(answers_table(JobView(1, "run", answers=answers), "held_out"))
    return console.export_text()


def test_a_run_shows_before_and_after() -> None:
    text = printed("base", "tuned", "gguf")
    assert [word in text for word in ("before", "after", "said by base", "said by tuned")] == [True] * 4
    assert "said by gguf" not in text


def test_a_job_that_only_exported_shows_what_it_wrote() -> None:
    text = printed("gguf")
    assert "said by gguf" in text and "export" in text
    assert "before" not in text and " - " not in text


def test_a_run_that_ended_early_shows_what_there_is() -> None:
    text = printed("base")
    assert "said by base" in text and " - " in text
