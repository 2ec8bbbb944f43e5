"""`tunesmith jobs compare` and `jobs report` over the socket: tables, JSON, files, and refusals with a next step."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("fake_daemon")


@pytest.fixture
def two(fake_daemon: Any, tunesmith: Any, tmp_path: Path) -> None:
    """Runs 1 and 2, which differ in their epochs and have finished."""
    for epochs in (1, 2):
        path = tmp_path / f"{epochs}.yaml"
        path.write_text(f"name: run {epochs}\ntraining:\n  epochs: {epochs}\n", "utf-8")
        assert tunesmith("run", str(path), "--wait").code == 0


@pytest.mark.usefixtures("two")
def test_two_runs_are_compared(tunesmith: Any) -> None:
    found = tunesmith("jobs", "compare", "1", "2", "--json").json
    assert (found["a"]["run"], found["b"]["run"]) == (1, 2)
    assert found["answered_by_both"] == 20 and found["answers"] == []
    assert [(one["score"], one["paired"], one["verdict"]) for one in found["scores"]] == [("correct", True, "unclear")]
    assert {figure["key"] for figure in found["figures"]} >= {"held_out_loss", "tokens_per_second", "peak_bytes"}
    shown = tunesmith("jobs", "compare", "1", "last")
    assert "Scores of the held-out answers" in shown.out and "Both answered the same questions" in shown.out
    assert shown.code == 0 and "Held-out loss" in shown.out and "0 of 20 answers changed" in shown.out


@pytest.mark.usefixtures("two")
def test_it_speaks_the_terminal_s_language(tunesmith: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "保留集损失" in tunesmith("jobs", "compare", "1", "2").out


@pytest.mark.usefixtures("two")
def test_a_report_is_written_where_it_was_asked_for(tunesmith: Any, tmp_path: Path) -> None:
    done = tunesmith("jobs", "report", "last", "--to", str(tmp_path / "report.md"), "--json")
    assert [Path(file).name for file in done.json["files"]] == [
        "report.md", "report-answers.svg", "report-loss.svg", "report-rate.svg",
    ]  # fmt: skip
    assert done.json["command"].startswith("tunesmith run ") and done.json["run"]["id"] == 2
    assert xml.parse(tmp_path / "report-loss.svg").getroot().tag.endswith("svg")


@pytest.mark.usefixtures("two")
def test_without_a_place_it_lies_in_this_folder_beside_the_one_before(tunesmith: Any, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("tunesmith-run-1.html", "tunesmith-run-1-2.html"):
        done = tunesmith("jobs", "report", "1", cwd=here)
        assert done.out.strip() == str(here / name)
    assert "<html lang=" in (here / "tunesmith-run-1.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jobs", "report", "1", "--to", "report.pdf"), "HTML or Markdown"),
        (("jobs", "report", "77"), "no run 77"),
        (("jobs", "compare", "1", "77"), "no run"),
        (("jobs", "compare", "first", "1"), "'first' is not a run"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(tunesmith: Any, arguments: tuple[str, ...], message: str) -> None:
    done = tunesmith(*arguments, "--json")
    assert done.code == 1 and message in done.json["error"]["message"]


@pytest.mark.usefixtures("two")
def test_a_folder_that_cannot_be_written_is_a_sentence(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    done = tunesmith("jobs", "report", "1", "--to", "/proc/nowhere/report.html")
    assert done.code == 1 and "cannot be written" in done.err and "--to" in done.err
