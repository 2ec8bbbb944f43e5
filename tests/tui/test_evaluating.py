"""A finished run evaluated again: what of it can be asked, the recipe that comes of it, and the same as a command."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import msgspec
import pytest
from histories import START, failed, finished, training
from live import FakeClient
from planned import on_cpu, on_gpu, unplanned

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import DataError, ModelError, RecipeError, TunesmithError
from tunesmith.recipes.spec import BenchmarkSpec, EvaluationSpec, JobSpec, complete, to_yaml
from tunesmith.tui import evaluating, texts
from tunesmith.tui.benchmark_needs import asking
from tunesmith.tui.evaluating import Evaluable, command, evaluable, look, look_at_files
from tunesmith.tui.evaluation_form import BENCHMARKS, ROWS, EvaluationForm
from tunesmith.tui.forecast_text import of_job
from tunesmith.tui.forms import GATE, LIMIT, SCORES, SUITES, TOOL, VARIANT


@pytest.fixture
def client(tmp_path: Path) -> FakeClient:
    """Run 1 has finished; 2 and 3 took it up again, 4 is at work, 5 failed."""
    exported = [
        e.Queued(time=START, task="export", of=1),
        e.ArtifactWritten(time=START, key="gguf:q4_k_m", path="artifacts/model-q4_k_m.gguf", bytes=9, sha256="a" * 64),
        e.Finished(time=START, seconds=1),
    ]
    evaluated = [e.Queued(time=START, task="benchmark", of=1), e.Finished(time=START, seconds=1)]
    fake = FakeClient(
        identity=finished(), exported=exported, asked=evaluated, running=training(9), broken=failed()
    )  # fmt: skip
    fake.folder = tmp_path
    artifacts = tmp_path / "jobs/1/artifacts"
    (artifacts / "adapter").mkdir(parents=True)
    evaluation = EvaluationSpec(scores=("chrf",), fail_if="chrf < 1")
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec(name="identity", evaluation=evaluation))))
    return fake


@pytest.fixture
async def found(client: FakeClient, tmp_path: Path) -> Evaluable:
    return await evaluable(client, Home(tmp_path), 1)


@pytest.fixture
def form(found: Evaluable) -> EvaluationForm:
    return EvaluationForm(found)


def typed(form: EvaluationForm, **texts: str) -> EvaluationForm:
    """`suites="gsm8k"`."""
    for name, text in texts.items():
        form.set(next(value for value in form.asked() if value.name == name), text)
    return form


def wrong(form: EvaluationForm) -> list[str]:
    return [value.key for value in form.values() if form.error(value) is not None]


async def test_of_a_job_that_took_a_run_up_again_the_run_is_meant(client: FakeClient, tmp_path: Path) -> None:
    for job_id in (1, 2, 3):
        meant = await evaluable(client, Home(tmp_path), job_id)
        assert (meant.run.id, meant.recipe.name, meant.longest) == (1, "identity", 71)
        assert meant.variants == ("adapter", "f16", "q8_0", "q4_k_m"), "with what was exported later"
        assert meant.facts is not None and meant.facts.parameters > 1e8


@pytest.mark.parametrize(("job_id", "said"), [(4, "Run 4 is running"), (5, "Run 5 is failed")])
async def test_what_has_not_finished_is_refused(client: FakeClient, tmp_path: Path, job_id: int, said: str) -> None:
    with pytest.raises(TunesmithError, match=f"{said} and has exported nothing"):
        await evaluable(client, Home(tmp_path), job_id)


async def test_where_nothing_is_left_that_is_said_before_anything_is_asked(client: FakeClient, tmp_path: Path) -> None:
    (client.folder / "jobs/1/artifacts/adapter").rmdir()
    with pytest.raises(ModelError, match="neither its adapter nor its merged model"):
        await evaluable(client, Home(tmp_path), 1)


async def test_of_a_gguf_alone_benchmarks_can_be_asked_and_rows_say_why_not(client: FakeClient, tmp_path: Path) -> None:
    artifacts = client.folder / "jobs/1/artifacts"
    (artifacts / "adapter").rmdir()
    (artifacts / "model-q8_0.gguf").touch()
    form = EvaluationForm(look(Home(tmp_path), await client.job(1)))
    assert typed(form, suites="arc").spec().task == "benchmark"
    form.kind = ROWS
    with pytest.raises(ModelError, match="nothing is left to begin with"):
        form.spec()


def test_benchmarks_have_all_that_was_asked_and_files_from_where_one_stands(
    found: Evaluable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("gsm8k", "mine.yaml", "questions.jsonl", "gsm8k")
    asked = BenchmarkSpec(suites=names, limit=5, variant="f16", base=True)
    spec = evaluating.benchmarks(found.run, asked, "mine < 0.5")
    chosen = ("gsm8k", f"{tmp_path}/mine.yaml", f"{tmp_path}/questions.jsonl")
    assert spec.benchmark == BenchmarkSpec(suites=chosen, limit=5, variant="f16", base=True)
    artifacts = str(tmp_path / "jobs/1/artifacts")
    assert (spec.task, spec.of, spec.exports, spec.evaluation.fail_if) == ("benchmark", artifacts, (), "mine < 0.5")


def test_rows_are_those_that_are_named_or_the_run_s_own(
    found: Evaluable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = evaluating.on_rows(found.run, None, None, None)
    assert (own.task, own.data, own.evaluation.scores) == ("evaluate", found.recipe.data, ("chrf",))
    assert own.evaluation.fail_if is None, "the run's own gate was for its exports"
    other = evaluating.on_rows(found.run, "mine.jsonl", ("scorer.py:polite",), "polite < 1")
    assert (other.data.held_out, other.evaluation.scores) == (
        f"{tmp_path}/mine.jsonl", (f"{tmp_path}/scorer.py:polite",),
    )  # fmt: skip


def test_what_is_typed_becomes_the_job(form: EvaluationForm) -> None:
    assert form.nothing_chosen and wrong(form) == [SUITES]
    with pytest.raises(RecipeError, match="Nothing is chosen yet"):
        form.spec()
    gate = "mmlu < before.mmlu"
    spec = typed(form, suites="gsm8k mmlu", limit="50", base="yes", variant="q4_k_m", fail_if=gate).spec()
    assert spec.benchmark == BenchmarkSpec(suites=("gsm8k", "mmlu"), limit=50, base=True, variant="q4_k_m")
    assert spec.evaluation.fail_if == gate
    form.kind = ROWS
    assert form.text(form.value(GATE)) == "", "each kind has a gate of its own"
    assert form.text(form.value(SCORES)) == "chrf", "the run's own to begin with"
    spec = typed(form, scores="exact_match", fail_if="exact_match < 1").spec()
    assert (spec.task, spec.evaluation.scores, spec.evaluation.fail_if) == (
        "evaluate", ("exact_match",), "exact_match < 1",
    )  # fmt: skip
    form.kind = BENCHMARKS
    assert form.text(form.value(GATE)) == gate


def test_each_value_is_to_blame_for_itself_alone(form: EvaluationForm) -> None:
    assert wrong(typed(form, suites="mmmlu")) == [SUITES]
    assert wrong(typed(form, suites="mmlu 'open")) == [SUITES]
    assert wrong(typed(form, suites="mmlu", limit="0", fail_if="mmlu < before.mmlu")) == [LIMIT, GATE]
    assert wrong(typed(form, limit="many", base="yes")) == [LIMIT]
    assert wrong(typed(form, limit="all", suites="mmlu task.yaml", tool="evalscope")) == [TOOL]
    form.kind = ROWS
    assert wrong(typed(form, fail_if="mmlu < 1")) == [GATE], "no benchmark is asked here"
    assert wrong(typed(form, scores="chr", fail_if="")) == [SCORES]


def test_only_models_of_the_run_can_be_chosen(form: EvaluationForm) -> None:
    assert form.value(VARIANT).choices == ("auto", "adapter", "f16", "q8_0", "q4_k_m")


def test_what_is_explained_is_of_a_finished_run(form: EvaluationForm) -> None:
    for code in texts.LANGUAGES:
        texts.use(code)
        said = [form.explanation(value) for value in form.values()]
        form.kind = ROWS
        said.append(form.explanation(form.value(GATE)))
        form.kind = BENCHMARKS
        assert not [one for one in said if "evaluate." in one or "export" in one.replace("exported", "")]


@pytest.mark.parametrize(
    ("kind", "texts", "said"),
    [
        (BENCHMARKS, {"suites": "gsm8k, mmlu"}, "--suite gsm8k,mmlu"),
        (BENCHMARKS, {"suites": "arc", "limit": "5", "base": "yes", "tool": "evalscope", "fail_if": "arc < 0.5"},
         "--suite arc --limit 5 --tool evalscope --base --fail-if 'arc < 0.5'"),
        (ROWS, {}, ""),
        (ROWS, {"scores": "bleu regex:^a{1,2},b$"}, "--scores bleu --scores 'regex:^a{1,2},b$'"),
    ],
)  # fmt: skip
def test_a_command_does_the_same(form: EvaluationForm, kind: str, texts: dict[str, str], said: str) -> None:
    form.kind = kind
    assert command(form.found, typed(form, **texts).spec()) == f"tunesmith eval 1 {said}".strip()


def test_a_command_names_the_model_and_files_whole(form: EvaluationForm, tmp_path: Path) -> None:
    own = tmp_path / "my own.jsonl"
    spec = typed(form, suites=f"'{own}'", variant="f16").spec()
    assert command(form.found, spec) == f"tunesmith eval 1:f16 --suite '{own}'"
    form.kind, form.data = ROWS, f" {own} "
    assert shlex.split(command(form.found, form.spec()))[3:] == ["--data", str(own)]


@pytest.mark.parametrize(("kind", "name", "text"), [(BENCHMARKS, "suites", "'a,b.jsonl'"), (ROWS, "scores", "")])
def test_what_the_command_cannot_say_it_does_not_say(form: EvaluationForm, kind: str, name: str, text: str) -> None:
    form.kind = kind
    assert command(form.found, typed(form, **{name: text}).spec()) == ""


def test_files_are_looked_for_as_the_daemon_does(form: EvaluationForm, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="Cannot read the suite"):
        look_at_files(typed(form, suites=str(tmp_path / "none.jsonl")).spec())
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"question": "Who?", "answer": "Vesper"}) + "\n")
    look_at_files(typed(form, suites=f"arc {questions}").spec())
    form.kind = ROWS
    look_at_files(form.spec())
    form.data = str(tmp_path / "none.jsonl")
    with pytest.raises(DataError):
        look_at_files(form.spec())


def test_what_it_needs_is_forecast_for_this_machine(form: EvaluationForm) -> None:
    spec = typed(form, suites="gsm8k", limit="50").spec()
    planning = unplanned(machine=on_gpu(24, 22))
    planning.simulated = "h100-80gb"
    found = planning.forecast_here(spec, form.found.facts, form.found.rows(""))
    assert found is not None and found[2].name == "NVIDIA RTX 3060"
    stage = asking(found[0])
    assert stage is not None and stage.stage == "evaluate" and stage.seconds > 0
    (line,) = of_job(*found, (60.0, 120.0))
    assert "fits" in line.plain and "of 60.0 GB free" in line.plain, "the tool works in the machine's memory"
    assert line.plain.endswith("1–2 min")
    short = unplanned(machine=on_cpu(4, 0)).forecast_here(spec, form.found.facts, form.found.rows(""))
    assert short is not None and "Missing:" in of_job(*short, (1, 2))[1].plain
    assert unplanned().forecast_here(spec, form.found.facts, form.found.rows("")) is None, "nobody has looked"
    assert planning.forecast_here(spec, None, form.found.rows("")) is None


def test_rows_of_the_run_are_as_long_as_it_saw(found: Evaluable) -> None:
    assert found.rows("").longest == 71 and not found.rows("").known
    assert found.rows("mine.jsonl").longest == msgspec.structs.replace(found, longest=0).rows("").longest > 71
