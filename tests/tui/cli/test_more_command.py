"""`tunesmith jobs more`: a new run that begins with what a finished one exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.spec import JobSpec, complete, to_yaml

pytestmark = pytest.mark.usefixtures("fake_daemon")


def exported(home: Home, *names: str) -> None:
    artifacts = home.job(1) / "artifacts"
    for name in names:
        (artifacts / name).mkdir(parents=True)
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec(name="good"))))


def test_a_finished_run_is_trained_on_as_a_new_one(tunesmith: Any, recipe: Callable[[str], str], home: Home) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, "adapter")
    ran = tunesmith("jobs", "more", "last", "--epochs", "2", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["run"] == 2 and ran.json["name"] == "good"
    assert "run 2 trains run 1 on for 2 epochs, with a new optimizer and schedule" in ran.err


def test_a_run_that_did_not_finish_has_nothing_to_train_on_from(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    tunesmith("run", recipe("stay"))
    ran = tunesmith("jobs", "more", "1", "--epochs", "1", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "not_finished"
    assert "tunesmith resume 1" in ran.json["error"]["hint"]


def test_a_run_without_its_adapter_says_which_export_is_missing(
    tunesmith: Any, recipe: Callable[[str], str], home: Home
) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, "merged")
    ran = tunesmith("jobs", "more", "1", "--epochs", "1", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "nothing_to_start_from"
    assert "`adapter`" in ran.json["error"]["hint"]
