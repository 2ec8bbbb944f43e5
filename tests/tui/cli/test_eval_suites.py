"""`tunesmith eval --suite`: public benchmarks as a job of a finished run, and what came of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.spec import JobSpec, complete, to_yaml
from tunesmith.tui.cli.evaluate import named

pytestmark = pytest.mark.usefixtures("fake_daemon")


def left_by_a_run(artifacts: Path) -> Path:
    (artifacts / "adapter").mkdir(parents=True)
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec(name="good"))))
    return artifacts


@pytest.fixture
def finished(tunesmith: Any, recipe: Callable[[str], str], home: Home) -> Path:
    """The artifacts of run 1."""
    tunesmith("run", recipe("good"), "--wait")
    return left_by_a_run(home.job(1) / "artifacts")


def test_suites_become_a_job_of_the_run(tunesmith: Any, finished: Path) -> None:
    ran = tunesmith("eval", "1:f16", "--suite", "gsm8k, mmlu", "--suite", "arc", "--limit", "5", "--base", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["run"] == 2 and "run 2 evaluates run 1" in ran.err
    gated = ("--suite", "arc", "--base", "--fail-if", "arc < before.arc - 0.02")
    assert tunesmith("eval", "1", *gated).code == 0
    for words, code, said in (
        (("--suite", "gsm8"), 1, "Did you mean 'gsm8k'"),
        (("--suite", "arc", "--tool", "lmeval"), 1, "Did you mean 'lm-eval'"),
        (("--suite", ","), 1, "Known: arc"),
        (("--limit", "5"), 2, "--suite"),
        (("--suite", "arc", "--scores", "chrf"), 2, "--scores"),
        (("--suite", "arc", "--fail-if", "chrf < 1"), 1, "there is no measure 'chrf'"),
    ):
        refused = tunesmith("eval", "1", *words)
        assert refused.code == code and said in refused.err, words


def test_suites_are_parted_by_commas() -> None:
    assert named(["gsm8k, my questions.jsonl", "arc,gsm8k", ","]) == ("gsm8k", "my questions.jsonl", "arc", "gsm8k")


def test_figures_are_shown_with_their_intervals_and_are_in_the_json(
    tunesmith: Any, recipe: Callable[[str], str]
) -> None:
    ran = tunesmith("run", recipe("benchmarked"), "--wait")
    (line,) = (line for line in ran.out.splitlines() if line.startswith("mine.yaml"))
    assert "0.400 [0.200 … 0.600]  0.500 [0.300 … 0.700]  +0.100 [-0.183 … +0.383]" in line
    assert "run by lm-eval 0.4.13" in ran.out and "with Python code of: /mine.yaml" in ran.out
    assert line in tunesmith("jobs", "show", "1").out
    _, tuned = tunesmith("jobs", "show", "1", "--json").json["benchmarks"]
    assert (tuned["suite"], tuned["subject"], tuned["standard_error"]) == ("mine", "tuned", 0.11)
    assert tuned["figure"] == {"value": 0.5, "low": 0.3, "high": 0.7} and len(tuned["parts"]) == 2
