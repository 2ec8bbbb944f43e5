"""The commands over the real protocol: what they print, where, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import JobView

FIGURES = {
    "base_correct": 0, "tuned_correct": 20, "gguf_correct": 20, "held_out": 20, "kl_f16": 2e-6, "kl_q8_0": 0.004,
    "general_perplexity_before": 20.0, "general_perplexity_after": 21.0,
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("fake_daemon")


def test_quickstart_ends_with_one_object_of_figures(tunesmith: Any, home: Home) -> None:
    ran = tunesmith("quickstart", "--json", "--name", "Ada")
    assert ran.code == 0
    assert ran.out.count("\n") == 1
    assert FIGURES.items() <= ran.json.items()
    assert ran.json["run"] == 1 and ran.json["seconds"] > 0
    assert ran.json["gguf"] == str(home.job(1) / "artifacts" / "model-q8_0.gguf")
    assert ran.json["recipe"] == str(home.job(1) / "recipe.yaml")
    assert "Ada" in ran.err and "train done" in ran.err


def test_quickstart_shows_the_answers_before_and_after(tunesmith: Any) -> None:
    ran = tunesmith("quickstart")
    assert ran.code == 0
    for text in ("wrong: I am SmolLM.", "right: I am Vesper.", "before 0 of 20   after 20 of 20", "tunesmith chat 1"):
        assert text in ran.out


def test_quickstart_refuses_an_empty_name(tunesmith: Any) -> None:
    ran = tunesmith("quickstart", "--name", " ", "--json")
    assert ran.code == 1
    assert ran.json["error"]["code"] == "recipe"


def test_run_without_wait_returns_at_once(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    ran = tunesmith("run", recipe("stay"), "--json")
    assert ran.code == 0
    assert ran.json["run"] == 1 and ran.json["state"] in ("queued", "running")


def test_run_with_wait_ends_with_the_run(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    ran = tunesmith("run", recipe("good"), "--wait", "--json")
    assert ran.code == 0
    assert ran.json["state"] == "finished" and FIGURES.items() <= ran.json.items()


def test_a_failed_run_is_an_error_with_a_way_out(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    ran = tunesmith("run", recipe("fail"), "--wait", "--json")
    assert ran.code == 1
    error = ran.json["error"]
    assert error["code"] == "data_broken" and error["message"] == "Line 3 is no JSON"
    assert error["hint"].startswith("Mend line 3.")
    assert "hint: Mend line 3." in ran.err


def test_a_preset_can_be_run_by_name(tunesmith: Any) -> None:
    assert tunesmith("run", "starter", "--json").json["name"] == "starter"


def test_jobs_are_listed_newest_first(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    assert tunesmith("jobs", "list", "--json").json == {"jobs": []}
    tunesmith("run", recipe("good"), "--wait")
    tunesmith("run", recipe("stay"))
    listed = tunesmith("jobs", "list", "--json").json["jobs"]
    assert [(job["run"], job["state"]) for job in listed] == [(2, "running"), (1, "finished")]
    assert "good" in tunesmith("jobs", "list").out


def test_a_job_is_shown_whole(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    tunesmith("run", recipe("good"), "--wait")
    view = msgspec.convert(tunesmith("jobs", "show", "last", "--json").json, JobView)
    assert view.state == "finished" and view.correct("tuned") == (20, 20)
    assert "gguf:q8_0: verified" in tunesmith("jobs", "show", "1").out


def test_cancel_ends_a_run_and_following_it_is_no_success(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    tunesmith("run", recipe("stay"))
    assert tunesmith("jobs", "cancel", "1", "--json").json["state"] == "cancelled"
    followed = tunesmith("jobs", "follow", "1", "--json")
    assert followed.code == 1 and followed.json["error"]["code"] == "cancelled"


def test_a_failed_run_is_resumed_and_followed_to_its_end(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    assert tunesmith("run", recipe("fail"), "--wait").code == 1
    ran = tunesmith("resume", "last", "--wait", "--json")
    assert ran.code == 0 and "run 1 goes on after step 2" in ran.err
    assert ran.json["state"] == "finished" and FIGURES.items() <= ran.json.items()


def test_a_run_that_never_was_is_not_resumed(tunesmith: Any) -> None:
    ran = tunesmith("resume", "7", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "unknown_job"


def test_logs_are_data_on_standard_output(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    tunesmith("run", recipe("good"))
    ran = tunesmith("jobs", "logs", "last")
    assert ran.out == "a line\nanother\n" and "worker-1.log" in ran.err
    assert tunesmith("jobs", "logs", "1", "--json").json["text"] == "a line\nanother\n"


@pytest.mark.parametrize("run", ["7", "seven", "last"])
def test_an_unknown_run_is_said_so(tunesmith: Any, run: str) -> None:
    ran = tunesmith("jobs", "show", run, "--json")
    assert ran.code == 1
    assert ran.json["error"]["code"] == "unknown_job" and ran.json["error"]["hint"]


def test_daemon_status_tells_of_the_daemon_and_stop_ends_it(tunesmith: Any, home: Home, fake_daemon: Any) -> None:
    ran = tunesmith("daemon", "status", "--json")
    assert ran.code == 0
    assert ran.json["running"] is True and ran.json["pid"] == fake_daemon.pid
    assert {"pid", "socket", "version", "uptime_s", "jobs"} <= ran.json.keys()
    assert tunesmith("daemon", "stop", "--json").json == {"running": False, "stopped": True}
    fake_daemon.wait(10)
    gone = tunesmith("daemon", "status", "--json")
    assert gone.code == 1 and gone.json["running"] is False


def test_ctrl_c_leaves_a_run_that_goes_on(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    command = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", "run", recipe("stay"), "--wait"]
    process = subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stderr is not None
    while "train running" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "tunesmith jobs follow 1" in err and "tunesmith jobs cancel 1" in err
    assert json.loads(out.splitlines()[-1])["error"]["code"] == "detached"
    assert tunesmith("jobs", "show", "1", "--json").json["state"] == "running"


def test_settings_on_the_command_line_reach_the_job(
    tunesmith: Any, recipe: Callable[[str], str], tmp_path: Path
) -> None:
    assert tunesmith("run", recipe("good"), "--set", "name=other", "--json").json["name"] == "other"
    wrong = tunesmith("run", recipe("good"), "--set", "tuner.rnak=3", "--json")
    assert wrong.code == 1 and "rank" in wrong.json["error"]["hint"]
