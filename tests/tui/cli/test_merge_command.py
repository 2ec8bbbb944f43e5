"""`tunesmith merge`: adapters of runs and folders, each with its weight, as one job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.again import merging
from tunesmith.recipes.spec import AdapterSpec, JobSpec, complete, to_yaml
from tunesmith.tui.cli.merge import weighted

pytestmark = pytest.mark.usefixtures("fake_daemon")


def exported(home: Home, job: int) -> None:
    artifacts = home.job(job) / "artifacts"
    (artifacts / "adapter").mkdir(parents=True)
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec(name="good"))))


def test_runs_and_folders_become_one_job(
    tunesmith: Any, recipe: Callable[[str], str], home: Home, tmp_path: Path
) -> None:
    for job in (1, 2):
        tunesmith("run", recipe("good"), "--wait")
        exported(home, job)
    ran = tunesmith("merge", "1=0.7", "2=-0.5", f"{tmp_path}/mine", "--to", "merged,gguf:q8_0", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["run"] == 3 and "run 3 merges 3 adapters into the base of run 1" in ran.err


@pytest.mark.parametrize(
    ("text", "found"),
    [("7", ("7", 1.0)), ("7=0.5", ("7", 0.5)), ("last=-1", ("last", -1.0)), ("./a=b/c=2", ("./a=b/c", 2.0))],
)
def test_a_weight_stands_behind_the_last_equals_sign(text: str, found: tuple[str, float]) -> None:
    assert weighted(text) == found


def test_what_cannot_be_merged_is_refused_at_once(tunesmith: Any, recipe: Callable[[str], str], home: Home) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, 1)
    assert "is no weight" in tunesmith("merge", "1=much").err
    ran = tunesmith("merge", "1", "--to", "gguf-adapter", "--json")
    assert ran.code == 1 and "are no adapter" in ran.json["error"]["message"]
    ran = tunesmith("merge", "1=0", "--json")
    assert ran.code == 1 and "adapters weight" in ran.json["error"]["message"]


def test_a_merge_is_exported_evaluated_and_trained_on_but_not_merged(
    tunesmith: Any, recipe: Callable[[str], str], home: Home
) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, 1)
    assert tunesmith("merge", "1=0.5", "--to", "merged", "--wait").code == 0
    artifacts = home.job(2) / "artifacts"
    (artifacts / "merged").mkdir(parents=True)
    spec = merging(home.job(1) / "artifacts", (AdapterSpec(path="/7", weight=0.5),), ("merged",))
    (artifacts / "recipe.yaml").write_text(to_yaml(spec))
    for words, said in (
        ("export 2 --to gguf:f16", "run 3 exports run 2"),
        ("eval 2", "run 4 evaluates run 2"),
        ("eval 2 --suite arc", "run 5 evaluates run 2"),
        ("jobs more 2 --epochs 1", "run 6 trains run 2"),
    ):
        ran = tunesmith(*words.split())
        assert ran.code == 0 and said in ran.err, ran.err
    ran = tunesmith("merge", "1", "2=0.5", "--json")
    assert ran.code == 1 and "Run 2 is a merge of several adapters" in ran.json["error"]["message"]
