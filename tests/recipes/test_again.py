"""A finished run as a job that exports or evaluates it: its own recipe, with what it left to begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.recipes import again
from tunesmith.recipes.errors import ModelError, RecipeError
from tunesmith.recipes.further import further
from tunesmith.recipes.spec import (
    STAGES_OF,
    TASKS,
    AdapterSpec,
    BenchmarkSpec,
    EvaluationSpec,
    JobSpec,
    complete,
    to_yaml,
)

LORA, FULL = {"kind": "lora"}, {"kind": "full"}


def run(folder: Path, *exported: str, tuner: dict[str, str] | None = None) -> Path:
    artifacts = folder / "artifacts"
    for name in exported:
        (artifacts / name).mkdir(parents=True)
    artifacts.mkdir(exist_ok=True)
    exports = ("merged",) if tuner == FULL else ("adapter",)
    spec = complete(JobSpec(name="mine", tuner=tuner or LORA, exports=exports))
    (artifacts / "recipe.yaml").write_text(to_yaml(spec))
    return artifacts


def test_an_export_is_the_runs_recipe_with_other_targets(tmp_path: Path) -> None:
    artifacts = run(tmp_path, "adapter")
    spec = again.exporting(artifacts, ("gguf:q4_k_m", "gguf:q6_k"))
    assert (spec.task, spec.of, spec.name) == ("export", str(artifacts), "export mine")
    assert spec.exports == ("gguf:q4_k_m", "gguf:q6_k")
    assert spec.tuner["kind"] == "lora" and spec.data.train == "starter"


def test_rows_that_are_gone_can_be_replaced(tmp_path: Path) -> None:
    artifacts = run(tmp_path, "adapter")
    assert again.exporting(artifacts, ("gguf:q8_0",), "/new.jsonl").data.train == "/new.jsonl"
    evaluation = again.evaluating(artifacts, "/questions.jsonl")
    assert (evaluation.task, evaluation.data.held_out) == ("evaluate", "/questions.jsonl")


def test_an_evaluation_has_scores_of_its_own_and_not_the_runs_gate(tmp_path: Path) -> None:
    artifacts = run(tmp_path, "adapter")
    own = EvaluationSpec(scores=("chrf",), fail_if="chrf < before.chrf")
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec(name="mine", evaluation=own))))
    again_as_it_was = again.evaluating(artifacts).evaluation
    assert (again_as_it_was.scores, again_as_it_was.fail_if) == (("chrf",), None)
    other = again.evaluating(artifacts, None, ("bleu",), "bleu < 10").evaluation
    assert (other.scores, other.fail_if) == (("bleu",), "bleu < 10")
    with pytest.raises(RecipeError, match="there is no measure 'chrf'"):
        again.evaluating(artifacts, None, ("bleu",), "chrf < 10")


def test_benchmarks_and_the_gate_of_a_training_are_left_out_of_what_takes_it_up(tmp_path: Path) -> None:
    artifacts = run(tmp_path, "adapter")
    asked, gate = BenchmarkSpec(suites=("mmlu",)), EvaluationSpec(fail_if="mmlu < 0.3")
    whole = complete(JobSpec(benchmark=asked, evaluation=gate))
    (artifacts / "recipe.yaml").write_text(to_yaml(whole))
    exported = again.exporting(artifacts, ("gguf:f16",))
    assert (exported.benchmark, exported.evaluation.fail_if) == (None, None)
    assert further(artifacts, 1).benchmark == asked, "a training of its own"
    own = again.benchmarking(artifacts, BenchmarkSpec(suites=("arc",)), "arc < 0.5")
    assert own.benchmark is not None and own.benchmark.suites == ("arc",) and own.evaluation.fail_if == "arc < 0.5"


def test_what_was_exported_again_is_of_the_run_behind_it(tmp_path: Path) -> None:
    artifacts = run(tmp_path / "1", "merged")
    later = tmp_path / "2"
    later.mkdir()
    (later / "recipe.yaml").write_text(to_yaml(again.exporting(artifacts, ("gguf:f16",))))
    spec = again.exporting(later, ("gguf:q8_0",))
    assert (spec.of, spec.name) == (str(artifacts), "export mine")


def test_a_job_begins_with_the_adapter_or_where_every_weight_was_trained_with_the_model(tmp_path: Path) -> None:
    small, whole = run(tmp_path / "a", "adapter", "merged"), run(tmp_path / "b", "merged", tuner=FULL)
    assert again.weights(again.evaluating(small)) == small / "adapter"
    assert again.weights(again.evaluating(whole)) == whole / "merged"
    assert again.weights(JobSpec()) is None


def test_a_run_that_left_nothing_says_what_to_export(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        again.exporting(run(tmp_path), ("gguf:f16",))
    assert caught.value.code == "nothing_to_start_from" and "`adapter` or `merged`" in caught.value.hint


def test_an_unknown_type_is_refused_before_anything_is_submitted(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="q4_k_x"):
        again.exporting(run(tmp_path, "adapter"), ("gguf:q4_k_x",))


def test_a_merge_names_its_adapters_and_writes_no_adapter(tmp_path: Path) -> None:
    artifacts = run(tmp_path, "adapter")
    adapters = (AdapterSpec(path="/7/adapter", weight=0.7), AdapterSpec(path="/mine"))
    spec = again.merging(artifacts, adapters, ("merged", "gguf:q8_0"))
    assert (spec.task, spec.of, spec.name, spec.adapters) == ("merge", str(artifacts), "merge mine", adapters)
    with pytest.raises(RecipeError, match="are no adapter"):
        again.merging(artifacts, adapters, ("gguf-adapter",))
    for wrong in (0.0, float("nan"), 1e9):
        with pytest.raises(RecipeError, match="adapters weight is out of range"):
            again.merging(artifacts, (AdapterSpec(path="/7", weight=wrong),), ("merged",))
    for task, given in (("merge", ()), ("export", adapters)):
        with pytest.raises(RecipeError, match="adapters is out of range"):
            complete(JobSpec(task=task, of="/artifacts", adapters=given))


def merge(tmp_path: Path, *left: str) -> Path:
    """The artifacts of a merge into the base of a run that was trained on a quantized one."""
    first = run(tmp_path / "1", "adapter")
    quantized = complete(JobSpec(name="mine", quantization="nf4", evaluation=EvaluationSpec(fail_if="loss > 3")))
    (first / "recipe.yaml").write_text(to_yaml(quantized))
    later = tmp_path / "2"
    for name in left:
        (later / name).mkdir(parents=True)
    later.mkdir(exist_ok=True)
    spec = again.merging(first, (AdapterSpec(path="/7", weight=0.5),), ("gguf:q8_0",))
    (later / "recipe.yaml").write_text(to_yaml(spec))
    return later


def test_a_merge_is_taken_up_as_a_whole_model(tmp_path: Path) -> None:
    merged = merge(tmp_path, "merged")
    for spec in (
        again.exporting(merged, ("gguf:f16",)), again.evaluating(merged, fail_if="loss > 9"),
        again.benchmarking(merged, BenchmarkSpec(suites=("mmlu",))),
    ):  # fmt: skip
        assert (spec.of, spec.name, spec.adapters) == (str(merged), f"{spec.task} merge mine", ())
        assert (spec.tuner["kind"], spec.quantization) == ("full", "none")
        assert again.weights(spec) == merged / "merged"
    again_of_it = tmp_path / "3"
    again_of_it.mkdir()
    (again_of_it / "recipe.yaml").write_text(to_yaml(again.exporting(merged, ("gguf:f16",))))
    assert again.exporting(again_of_it, ("gguf:q8_0",)).of == str(merged)
    with pytest.raises(ModelError, match="which has no adapter itself"):
        again.merging(merged, (AdapterSpec(path="/7"),), ("merged",))


def test_a_merge_that_kept_no_merged_model_is_exported_by_merging_again(tmp_path: Path) -> None:
    merged = merge(tmp_path)
    spec = again.exporting(merged, ("gguf:q4_k_m",))
    assert (spec.task, spec.of, spec.exports) == ("merge", str(tmp_path / "1" / "artifacts"), ("gguf:q4_k_m",))
    assert spec.adapters == (AdapterSpec(path="/7", weight=0.5),)
    with pytest.raises(ModelError) as caught:
        again.evaluating(merged)
    assert "--to merged" in caught.value.hint
    with pytest.raises(ModelError):
        again.benchmarking(merged, BenchmarkSpec(suites=("mmlu",)))
    (merged / "model-q8_0.gguf").touch()
    again.benchmarking(merged, BenchmarkSpec(suites=("mmlu",)))


def test_a_merge_is_trained_on_with_a_new_adapter_on_it(tmp_path: Path) -> None:
    merged = merge(tmp_path, "merged")
    spec = further(merged, 2)
    assert (spec.task, spec.of, spec.adapters, spec.training.start_from) == ("train", None, (), None)
    assert (spec.model.source, spec.training.epochs) == (str(merged / "merged"), 2)
    assert (spec.tuner["kind"], spec.quantization) == ("lora", "nf4")
    (merged / "merged").rmdir()
    with pytest.raises(ModelError, match="exported no merged"):
        further(merged, 2)


@pytest.mark.parametrize(
    ("task", "of"), [("export", None), ("evaluate", None), ("merge", None), ("train", "/artifacts")]
)
def test_a_task_and_a_run_go_together(task: str, of: str | None) -> None:
    with pytest.raises(RecipeError, match="of is out of range"):
        complete(JobSpec(task=task, of=of))


def test_every_task_goes_through_stages_that_training_has_too() -> None:
    assert set(STAGES_OF) == set(TASKS)
    assert all(set(stages) <= set(STAGES_OF["train"]) for stages in STAGES_OF.values())
