"""`tunesmith export` and `tunesmith eval`: jobs of a finished run; without a target, what can be written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.spec import JobSpec, complete, to_yaml
from tunesmith.tui.cli.scores import given

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


def test_what_cannot_be_made_of_its_base_is_not_listed(
    tunesmith: Any, recipe: Callable[[str], str], home: Home, tmp_path: Path
) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, "adapter")
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 100,
    }))  # fmt: skip
    (home.job(1) / "base.txt").write_text(f"{base}\n")
    names = [one["target"] for one in tunesmith("export", "1", "--json").json["targets"]]
    assert "gguf:q8_0" in names and "gguf-mmproj" not in names


def test_a_run_that_exported_nothing_says_so(tunesmith: Any, recipe: Callable[[str], str], home: Home) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home)
    ran = tunesmith("eval", "1", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "nothing_to_start_from"


def test_scores_are_shown_with_their_intervals_and_whose_code_they_are(
    tunesmith: Any, recipe: Callable[[str], str]
) -> None:
    ran = tunesmith("run", recipe("scored"), "--wait")
    assert ran.code == 0, ran.err
    (line,) = (line for line in ran.out.splitlines() if line.startswith("polite"))
    assert "0.100 [0.028 … 0.301]" in line and "+0.750 [+0.550 … +0.900]" in line and line.rstrip().endswith("better")
    assert "polite 0.000 → 1.000  Who are you, number 3?: I am SmolLM. → I am Vesper." in ran.out
    assert "computed by your own code: /mine.py" in ran.out
    assert line in tunesmith("jobs", "show", "1").out


def test_scores_are_in_the_result_s_json(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    (found,) = tunesmith("run", recipe("scored"), "--wait", "--json").json["scores"]
    assert (found["name"], found["verdict"], found["own_code"], found["rows"]) == ("polite", "better", "/mine.py", 20)
    assert found["change"] == {"value": 0.75, "low": 0.55, "high": 0.9}
    assert found["changed"] == [{
        "row": 3, "question": "Who are you, number 3?", "expected": "", "before": 0.0, "after": 1.0,
        "answer_before": "I am SmolLM.", "answer_after": "I am Vesper.",
    }]  # fmt: skip


def test_a_run_that_its_gate_refused_fails_and_shows_its_scores(tunesmith: Any, recipe: Callable[[str], str]) -> None:
    ran = tunesmith("run", recipe("scored refused"), "--wait", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "gate_failed"
    shown = tunesmith("jobs", "show", "1")
    assert "failed" in shown.out and "polite" in shown.out and "better" in shown.out


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--scores", "exact_match,chr"), "has no 'chr'"), (("--fail-if", "chrf < 1"), "there is no measure 'chrf'"),
     (("--scores", ","), "names nothing")],
)  # fmt: skip
def test_what_no_evaluation_can_do_is_refused_at_once(
    tunesmith: Any, recipe: Callable[[str], str], home: Home, words: tuple[str, ...], said: str
) -> None:
    tunesmith("run", recipe("good"), "--wait")
    exported(home, "adapter")
    ran = tunesmith("eval", "1", *words, "--json")
    assert ran.code == 1 and said in ran.json["error"]["message"] and ran.json["error"]["hint"]


def test_scores_are_parted_by_commas_but_for_a_pattern() -> None:
    assert given(None) is None
    assert given(["chrf, mine.py:f", "json,regex:^a{1,2}, b$"]) == ("chrf", "mine.py:f", "json", "regex:^a{1,2}, b$")
