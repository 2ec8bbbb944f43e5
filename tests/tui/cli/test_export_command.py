"""`tunesmith export` and `tunesmith eval`: jobs of a finished run; without a target, what can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.spec import JobSpec, complete, to_yaml

pytestmark = pytest.mark.usefixtures("fake_daemon")


def exported(home: Home, *names: str) -> None:
    artifacts = home.job(1) / "artifacts"
    artifacts.mkdir(parents=True)
    for name in names:
        (artifacts / name).mkdir()
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec(name="good"))))


@pytest.mark.parametrize(
    ("words", "task"), [(("export", "last", "--to", "gguf:q4_k_m, gguf:q6_k"), "exports"), (("eval", "1"), "evaluates")]
)
def test_a_finished_run_becomes_a_job_of_its_own(
    tunesmith: Any, recipe: Callable[[str], str], home: Home, words: tuple[str, ...], task: str
) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, "adapter")
    ran = tunesmith(*words, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["run"] == 2 and f"run 2 {task} run 1" in ran.err


def test_an_unknown_target_gets_the_nearest(tunesmith: Any, recipe: Callable[[str], str], home: Home) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, "adapter")
    ran = tunesmith("export", "1", "--to", "gguf:q4_k", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "recipe"
    assert "gguf:q4_k_" in ran.json["error"]["hint"]


def test_without_a_target_everything_that_can_be_written_is_listed(
    tunesmith: Any, recipe: Callable[[str], str], home: Home
) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, "adapter")
    found = tunesmith("export", "1", "--json").json["targets"]
    names = [one["target"] for one in found]
    assert len(names) == len(set(names)) >= 33 and {"adapter", "merged", "gguf-adapter", "gguf:iq1_s"} <= set(names)
    listed = tunesmith("export", "1")
    assert "gguf:q4_k_m" in listed.out and "needs its importance matrix" in listed.out


def test_a_run_that_exported_nothing_says_so(tunesmith: Any, recipe: Callable[[str], str], home: Home) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home)
    ran = tunesmith("eval", "1", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "nothing_to_start_from"
