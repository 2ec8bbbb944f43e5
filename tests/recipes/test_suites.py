"""Public benchmarks by name, and a person's own files as benchmarks: what runs them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.recipes import gate, suites
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.spec import (
    STAGES_OF,
    BenchmarkSpec,
    EvaluationSpec,
    JobSpec,
    complete,
    parse,
    stages_of,
    to_yaml,
)


def test_every_suite_says_what_it_asks_and_how_each_tool_runs_it() -> None:
    assert len(suites.cards()) == 11
    for name, suite in suites.cards().items():
        assert suite.title and suite.blurb.endswith("."), name
        assert set(suite.tools) == set(suites.TOOLS), name
        assert all(way.name and way.endpoint in suites.ENDPOINTS for way in suite.tools.values()), name
        assert suite.tools[suites.LM_EVAL].metric, f"{name}: the harness tells several figures"
        assert all(way.questions > 500 and way.read > 50 for way in suite.tools.values()), name
        assert all((way.written > 0) == (way.endpoint == suites.CHAT) for way in suite.tools.values()), name
    assert set(suites.INSTALLED) == set(suites.HUBS) == set(suites.TOOLS)


def test_a_limit_is_of_each_part_and_a_file_is_not_counted() -> None:
    assert suites.asked("mmlu", None, None) == 14042 and suites.asked("mmlu", None, 2) == 114
    assert suites.asked("gsm8k", None, 5000) == 1319 and suites.asked("arc", suites.EVALSCOPE, 5) == 10
    assert suites.asked("/own/task.yaml", None, 5) is None


def test_a_name_is_run_by_its_first_tool_or_by_the_one_that_is_asked_for() -> None:
    assert suites.find("gsm8k", None).tool == suites.LM_EVAL
    assert suites.find("ceval", None).tool == suites.EVALSCOPE
    chosen = suites.find("truthfulqa", suites.EVALSCOPE)
    assert (chosen.title, chosen.way.name, chosen.file) == ("TruthfulQA", "truthful_qa", "")


def test_a_task_file_of_the_harness_says_its_name_its_kind_and_whether_it_runs_code(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("task: choosing\noutput_type: multiple_choice\nprocess_docs: !function utils.cut\n")
    chosen = suites.find(str(path), None)
    assert (chosen.key, chosen.tool, chosen.way.endpoint, chosen.own_code) == (
        "choosing",
        "lm-eval",
        "completions",
        True,
    )
    path.write_text('task: "writing"\noutput_type: generate_until\n')
    chosen = suites.find(str(path), None)
    assert (chosen.key, chosen.way.endpoint, chosen.own_code) == ("writing", "chat", False)
    path.write_text("group: [one, two]\n")
    with pytest.raises(RecipeError, match="names no task"):
        suites.find(str(path), None)


def test_a_file_of_questions_is_scored_by_its_answers_or_by_the_letter_that_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('\n{"question": "Why?", "answer": "So."}\n')
    assert suites.find(str(path), None).way == suites.Way("general_qa", "rouge.f1.l")
    path.write_text('{"question": "Which?", "A": "this", "B": "that", "answer": "A"}\n')
    assert suites.find(str(path), suites.EVALSCOPE).way.name == "general_mcq"
    for wrong in ("", "no JSON\n", '{"text": "no question"}\n'):
        path.write_text(wrong)
        with pytest.raises(RecipeError, match="row"):
            suites.find(str(path), None)


@pytest.mark.parametrize(
    ("suite", "tool", "said"),
    [
        ("gsm8", None, "Did you mean 'gsm8k'"),
        ("gsm8k", "lm_eval", "Did you mean 'lm-eval'"),
        ("mine.yaml", "evalscope", "run by lm-eval"),
        ("/nowhere/questions.jsonl", None, "Check the path"),
    ],
)
def test_what_is_not_known_is_refused_with_a_way_on(suite: str, tool: str | None, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        suites.find(suite, tool)
    assert said in caught.value.hint


def benchmark(**asked: object) -> JobSpec:
    return JobSpec(task="benchmark", of="/artifacts", exports=(), benchmark=BenchmarkSpec(**asked))  # type: ignore[arg-type]


def test_a_recipe_names_its_suites_and_comes_back_the_same(tmp_path: Path) -> None:
    spec = complete(benchmark(suites=("mmlu", "own.yaml"), limit=5, variant="f16", base=True))
    again = parse(to_yaml(spec), tmp_path)
    assert again.benchmark == BenchmarkSpec(
        suites=("mmlu", str(tmp_path / "own.yaml")), limit=5, variant="f16", base=True
    )
    for wrong in ({"suites": ()}, {"suites": ("mmlu", "mmlu")}, {"suites": ("mmlu",), "limit": 0},
                  {"suites": ("mmlu",), "variant": "../x"}, {"suites": ("mlu",)}):  # fmt: skip
        with pytest.raises(RecipeError):
            complete(benchmark(**wrong))
    with pytest.raises(RecipeError, match="benchmark is out of range"):
        complete(JobSpec(task="benchmark", of="/artifacts"))


def training(exports: tuple[str, ...] = ("gguf:q8_0",), fail_if: str | None = None, **asked: object) -> JobSpec:
    evaluation = EvaluationSpec(fail_if=fail_if)
    return JobSpec(exports=exports, evaluation=evaluation, benchmark=BenchmarkSpec(**asked))  # type: ignore[arg-type]


def test_a_training_has_benchmarks_of_what_it_exports() -> None:
    spec = complete(training(suites=("mmlu",), variant="q8_0"))
    assert stages_of(spec) == (*STAGES_OF["train"], "benchmark") and stages_of(JobSpec()) == STAGES_OF["train"]
    complete(training(("adapter",), suites=("mmlu",)))
    for exports, variant, said in (
        (("awq",), "", "nothing that can answer is"), ((), "", "nothing that can answer is"),
        (("gguf:q8_0",), "f16", "'f16', which is not exported"), (("merged",), "base", "'base', which is not exported"),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=said):
            complete(training(exports, suites=("mmlu",), variant=variant))
    for task in ("export", "evaluate"):
        with pytest.raises(RecipeError, match="benchmark is out of range"):
            complete(JobSpec(task=task, of="/artifacts", benchmark=BenchmarkSpec(suites=("mmlu",))))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gsm8k", "gsm8k"),
        ("/data/questions.jsonl", "questions"),
        ("my set.yaml", "my_set"),
        ("2026.jsonl", "_2026"),
    ],
)
def test_a_gate_calls_a_file_by_its_own_name(text: str, name: str) -> None:
    assert suites.name_of(text) == name
    gate.parse(f"{name} < before.{name} - 0.02")


def test_a_gate_names_the_suites_of_its_recipe() -> None:
    asked = ("mmlu", "/my set.jsonl")
    spec = complete(training(fail_if="mmlu < 0.3 or my_set < 1 and loss > 3", suites=asked))
    assert gate.waits(spec) and not gate.waits(training(fail_if="loss > 3", suites=asked))
    complete(training(fail_if="mmlu < before.mmlu - 0.02", suites=asked, base=True))
    for text, said in (
        ("mmlu < before.mmlu", "the untuned model is not asked"), ("gsm8k < 1", "there is no measure 'gsm8k'"),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=said):
            complete(training(fail_if=text, suites=asked))
    with pytest.raises(RecipeError, match="Two measures are called 'loss'"):
        complete(training(fail_if="loss > 3", suites=("/loss.jsonl",)))
    own = BenchmarkSpec(suites=asked)
    complete(JobSpec(task="benchmark", of="/a", benchmark=own, evaluation=EvaluationSpec(fail_if="mmlu < 0.3")))
    with pytest.raises(RecipeError, match="does not measure"):
        complete(JobSpec(task="benchmark", of="/a", benchmark=own, evaluation=EvaluationSpec(fail_if="loss > 3")))
