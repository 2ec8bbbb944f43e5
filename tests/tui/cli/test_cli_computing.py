"""What the commands say of how a run computes: nothing slow is silent, nothing unmeasured is a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from histories import training

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.tui.cli.computing_text import computing, computing_lines, path_text, paths_lines, speed_text


def view_of(events: list[e.Event]) -> JobView:
    view = JobView(1, "run")
    for number, event in enumerate(events, 1):
        view = fold(view, e.Numbered(number, event))
    return view


def said(view: JobView) -> str:
    return "\n".join(line.plain for line in computing_lines(view))


def test_a_slower_path_is_named_in_words() -> None:
    slow = e.PathTaken("attention", "eager", "a layer has sinks", fastest=False)
    assert path_text(slow).plain == "attention: eager, slower than possible (a layer has sinks)"
    assert path_text(e.PathTaken("loss", "chunked", "")).plain == "loss: chunked"


def test_on_a_terminal_only_slower_paths_have_lines_of_their_own() -> None:
    slow, fast = paths_lines(view_of(training(3)), briefly=True)
    assert slow.plain.startswith("lora: unfused, slower than possible (the check")
    assert "attention: SDPA for each segment; packing: best fit" in fast.plain and "jobs show 1" in fast.plain


def test_everything_measured_is_said() -> None:
    text = said(view_of(training(41)))
    for part in ("112 GFLOP/s useful (57% of the limit)", "padding 0.0%", "limit 195 GFLOP/s", "activations 412.0 MB",
                 "peak 1.9 GB", "lora: unfused, slower than possible", "checkpoint at step 40"):  # fmt: skip
        assert part in text


def test_what_was_not_measured_is_left_out() -> None:
    step = e.TrainStep(
        time=0, step=1, total_steps=2, epoch=0.5, loss=1.0, learning_rate=1e-4, gradient_norm=1.0,
        tokens_per_second=100.0, memory_bytes=1, eta_s=1.0,
    )  # fmt: skip
    assert speed_text(step) == "100 tokens/s"
    assert computing(JobView(1, "run"))["limit_share"] is None
    assert computing_lines(JobView(1, "run")) == []


@pytest.mark.usefixtures("fake_daemon")
def test_following_a_run_says_the_paths_once(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    ran = tunesmith("run", recipe("good"), "--wait", "--json")
    assert ran.err.count("attention: SDPA for each segment (no NVIDIA GPU)") == 1
    assert ran.err.count("lora: unfused, slower than possible") == 1
    figures = ran.json["computing"]
    assert figures["flops_per_second"] == 1e11 and figures["limit_share"] == 0.5 and figures["peak_bytes"] == 10**9
    assert [path["fastest"] for path in figures["paths"]] == [True, False]


@pytest.mark.usefixtures("fake_daemon")
def test_a_run_that_failed_says_where_it_can_go_on(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    ran = tunesmith("run", recipe("fail"), "--wait", "--json")
    assert "`tunesmith resume 1` goes on from step 2" in ran.json["error"]["hint"]
    assert "checkpoint at step 2" in tunesmith("jobs", "show", "1").out
    assert tunesmith("jobs", "list", "--json").json["jobs"][0]["checkpoint_step"] == 2


def test_an_inexact_resume_says_why_and_an_early_end_says_where() -> None:
    events: list[e.Event] = [
        e.Queued(time=0),
        e.Started(time=1, attempt=2, pid=1),
        e.Resumed(time=2, step=4, attempt=2, exact=False, reasons=("threads was 2 and is 1",)),
        e.StoppedEarly(time=3, step=6, total_steps=9),
    ]
    text = said(view_of(events))
    assert "inexact resume: not the bits of a run that was never stopped (threads was 2 and is 1)" in text
    assert "training was stopped early, after step 6 of 9" in text
    figures = computing(view_of(events))
    assert (figures["resumed_exactly"], figures["stopped_early_after_step"]) == (False, 6)
    assert figures["inexact_because"] == ("threads was 2 and is 1",)
