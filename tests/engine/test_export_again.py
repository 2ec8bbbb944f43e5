"""A finished run exported and evaluated again: from what it left, to what a training would have written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import stopped
from stopped import Another, Told

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.worker import combine, converting, evaluate, export, importance, load, quantize, taken_up, verify
from tunesmith.daemon.worker import trained as trained_file
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.lent import Lent
from tunesmith.daemon.worker.train import merge, set_up
from tunesmith.recipes import gguf_types
from tunesmith.recipes.again import evaluating, exporting, merging
from tunesmith.recipes.errors import DataError, MachineError, ModelError
from tunesmith.recipes.spec import AdapterSpec

pytestmark = pytest.mark.usefixtures("one_thread")
MakeRun = Callable[..., Path]


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path, another: Another, told: Told) -> MakeRun:
    """The artifacts of a run that finished, in a folder of their own; its scores and merged model beside them."""

    def make(*targets: str) -> Path:
        values = stopped.parts(tiny_model, tmp_path, epochs=1, tuner={"kind": "lora"})
        context = another(values | {"exports": [*targets], "evaluation": {"answers": 1, "max_new_tokens": 4}})
        context.tokenizer = load.tokenizer(tiny_model)
        stopped.attempt(context)
        evaluate.run(context)
        scores = [event for event in told(context) if isinstance(event, e.Scored)]
        (tmp_path / "scores.json").write_bytes(
            msgspec.json.encode([msgspec.structs.replace(s, time=0.0) for s in scores])
        )
        context.spec = msgspec.structs.replace(context.spec, exports=("merged",))
        merge.run(context)
        context.spec = msgspec.structs.replace(context.spec, exports=targets)
        export.run(context)
        shutil.copytree(context.merged, tmp_path / "as-trained")
        kept: Path = shutil.copytree(context.artifacts, tmp_path / "first")
        return kept

    return make


def job(another: Another, artifacts: Path, *targets: str) -> Context:
    context = another(msgspec.to_builtins(exporting(artifacts, targets)))
    prepare.run(context)
    context.begin("export")
    taken_up.run(context)
    return context


def of(kind: type[Any], events: list[e.Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_what_the_run_kept_only_as_an_adapter_is_merged_as_it_was_then(
    run: MakeRun, another: Another, told: Told, tmp_path: Path
) -> None:
    context = job(another, run("adapter"), "merged", "adapter")
    export.run(context)
    weights = "model.safetensors"
    assert (context.artifacts / "merged" / weights).read_bytes() == (tmp_path / "as-trained" / weights).read_bytes()
    assert [event.key for event in of(e.ArtifactWritten, told(context))] == ["merged", "adapter"]
    publish.verify_folder(context.artifacts)


def test_a_merged_model_that_is_there_is_used_as_it_is(run: MakeRun, another: Another) -> None:
    artifacts = run("merged")
    context = job(another, artifacts, "merged")
    assert context.merged == artifacts / "merged"
    before = (artifacts / "merged" / publish.MANIFEST).read_bytes()
    export.run(context)
    publish.verify_folder(artifacts / "merged")
    assert (artifacts / "merged" / publish.MANIFEST).read_bytes() == before, "the run's own files never change"


def test_a_damaged_adapter_or_another_base_is_refused(run: MakeRun, another: Another, tiny_model: Path) -> None:
    artifacts = run("adapter")
    context = job(another, artifacts, "merged")
    shutil.copytree(tiny_model, context.job / "other")
    (context.job / "other" / "config.json").write_text((tiny_model / "config.json").read_text() + " ")
    context.base = context.job / "other"
    with pytest.raises(ModelError) as caught:
        taken_up.run(context)
    assert caught.value.code == "other_base"
    context.base = tiny_model
    weights = artifacts / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x00")
    with pytest.raises(MachineError):
        taken_up.run(context)


def test_several_adapters_in_one_base_are_exported_as_a_job_of_their_own(
    run: MakeRun, another: Another, told: Told, tiny_model: Path, tmp_path: Path
) -> None:
    """The run's own and one that peft saved; a half of each is what half of their changes come to."""
    from safetensors.torch import load_file, save_file

    artifacts = run("adapter")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(artifacts / "adapter" / "adapter_config.json", other)
    weights = load_file(artifacts / "adapter" / "adapter_model.safetensors")
    save_file({name: 3 * weight for name, weight in weights.items()}, other / "adapter_model.safetensors")
    adapters = (AdapterSpec(path=str(artifacts / "adapter"), weight=2.0), AdapterSpec(path=str(other), weight=-0.25))

    context = another(msgspec.to_builtins(merging(artifacts, adapters, ("merged",))))
    prepare.run(context)
    context.begin("export")
    combine.run(context)
    export.run(context)

    before = load.model(tiny_model, "cpu", None).state_dict()
    trained = load.model(tmp_path / "as-trained", "cpu", None).state_dict()
    found = load.model(context.artifacts / "merged", "cpu", None).state_dict()
    changed = [name for name in found if not found[name].equal(before[name])]
    assert changed and changed == [name for name in trained if not trained[name].equal(before[name])]
    for name in changed:  # 2 of the change, less a quarter of nine times it
        expected = before[name] - 0.25 * (trained[name] - before[name])
        assert found[name].allclose(expected, atol=1e-6)
    assert any(event.text.startswith("Merged into the base") for event in of(e.Notice, told(context)))
    card = (context.artifacts / "README.md").read_text()
    assert f"| -0.25 | `{other}` |" in card
    made = shutil.copytree(context.artifacts, tmp_path / "made")
    taken = job(another, made, "merged", "gguf:f16")
    assert taken.merged == made / "merged"
    evaluated = another(msgspec.to_builtins(evaluating(made)))
    prepare.run(evaluated)
    evaluated.begin("evaluate")
    set_up.run(evaluated)
    evaluate.run(evaluated)
    base, tuned = (score.held_out_loss for score in of(e.Scored, told(evaluated)))
    first = msgspec.json.decode((tmp_path / "scores.json").read_bytes(), type=list[e.Scored])
    assert base == pytest.approx(first[0].held_out_loss) and tuned > base, "less than none of what was learned"


def test_an_adapter_of_another_base_is_not_merged(run: MakeRun, another: Another, tmp_path: Path) -> None:
    artifacts = run("adapter")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(artifacts, elsewhere)
    training = msgspec.structs.replace(trained_file.read(elsewhere), base="another")
    with publish.staging(elsewhere / trained_file.FILE) as staged:
        staged.write_text(trained_file.encode(training))
        publish.publish_file(staged, elsewhere / trained_file.FILE)
    adapters = tuple(AdapterSpec(path=str(folder / "adapter")) for folder in (artifacts, elsewhere))
    context = another(msgspec.to_builtins(merging(artifacts, adapters, ("merged",))))
    context.begin("export")
    with pytest.raises(ModelError, match="trained on another base") as caught:
        combine.run(context)
    assert caught.value.code == "other_base" and not context.merged.exists()


def test_an_evaluation_says_what_the_run_itself_measured(
    run: MakeRun, another: Another, told: Told, tmp_path: Path
) -> None:
    context = another(msgspec.to_builtins(evaluating(run("adapter"))))
    prepare.run(context)
    set_up.run(context)
    evaluate.run(context)
    found = of(e.Scored, told(context))
    before = msgspec.json.decode((tmp_path / "scores.json").read_bytes(), type=list[e.Scored])
    assert [score.subject for score in found] == ["base", "tuned"]
    for ours, theirs in zip(found, before, strict=True):
        assert ours.held_out_loss == pytest.approx(theirs.held_out_loss, rel=1e-5)


def test_given_rows_are_evaluated_and_no_other_is_read(
    run: MakeRun, another: Another, told: Told, tmp_path: Path
) -> None:
    artifacts = run("adapter")
    shutil.copy(tmp_path / "b.jsonl", tmp_path / "mine.jsonl")
    spec = evaluating(artifacts, str(tmp_path / "mine.jsonl"))
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").unlink()
    context = another(msgspec.to_builtins(spec))
    prepare.run(context)
    (checked,) = of(e.DataChecked, told(context))
    assert checked.rows_read == 10 == len(context.prepared.scored)


@pytest.mark.slow
@pytest.mark.timeout(900)  # the environment is made, and the quantizer's libraries are loaded three times
def test_compressed_folders_are_written_in_an_environment_of_their_own_and_load_in_ours(
    run: MakeRun, another: Another, told: Told
) -> None:
    """Through the real llm-compressor, which is installed for it."""
    targets = ("awq", "gptq", "fp8")
    context = job(another, run("adapter"), *targets)
    export.run(context)
    verify.run(context)
    events = told(context)
    results = of(e.Verified, events)
    assert [(result.key, result.passed) for result in results] == [(target, True) for target in targets]
    assert all(result.prompt_equal and result.token_ids_equal and result.perplexity for result in results)
    notices = [event.text for event in of(e.Notice, events)]
    assert sum("32 weights of a row share a scale" in text for text in notices) == 2
    assert sum("Calibrated with" in text for text in notices) == 2
    notes = {event.note for event in of(e.StageProgress, events)}
    assert any(note.startswith("awq: llm-compressor: ") for note in notes), "that it is installed is told"
    about = (context.artifacts / "README.md").read_text()
    for target, kept in (
        ("awq", "4 bits, groups of 32."),
        ("gptq", "4 bits, groups of 32."),
        ("fp8", "8 bits, a scale a row."),
    ):
        folder = context.artifacts / f"model-{target}"
        publish.verify_folder(folder)
        assert kept in about
        assert load.tokenizer(folder).chat_template == load.tokenizer(context.merged).chat_template
        packed = load.model(folder, "cpu", None).model.layers[0].mlp.up_proj
        assert str(getattr(packed, "weight_packed", getattr(packed, "weight", None)).dtype) == (
            "torch.float8_e4m3fn" if target == "fp8" else "torch.int32"
        )


@pytest.mark.slow
def test_an_adapter_for_llama_cpp_alone_is_compared_with_the_merged_model(
    run: MakeRun, another: Another, told: Told
) -> None:
    context = job(another, run("adapter"), "gguf-adapter")
    export.run(context)
    verify.run(context)
    (result,) = of(e.Verified, told(context))
    assert result.passed and result.kl_divergence < 1e-3
    assert [file.name for file in context.artifacts.glob("*.gguf")] == ["adapter.gguf"]


@pytest.mark.slow
def test_quantized_types_adapter_and_modelfile_are_written_and_verified(
    run: MakeRun, another: Another, told: Told
) -> None:
    targets = ("gguf:q4_k_m", "gguf:q4_k_m-plain", "gguf-adapter")
    context = job(another, run("adapter"), *targets)
    export.run(context)
    verify.run(context)
    events = told(context)
    assert [event.key for event in of(e.ArtifactWritten, events)] == [*targets]
    results = of(e.Verified, events)
    assert [(result.key, result.passed) for result in results] == [(target, True) for target in targets]
    assert all(result.perplexity and result.merged_perplexity for result in results)
    assert results[2].kl_divergence < 1e-3, "the adapter on the base is the merged model"
    notices = [event.text for event in of(e.Notice, events)]
    assert any("importance matrix was made of" in text for text in notices)
    assert sum("which blocks of 256 do not divide" in text for text in notices) == 2  # its rows have 32 and 64 weights
    assert "FROM ./model-q4_k_m.gguf" in (context.artifacts / "Modelfile-q4_k_m").read_text()
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=context.artifacts, check=False)
    assert sums.returncode == 0
    # Another attempt takes what the first one finished.
    again = Context(context.job, context.attempt + 1)
    again.base, again.prepared, again.tokenizer = context.base, context.prepared, context.tokenizer
    again.begin("export")
    taken_up.run(again)
    export.run(again)
    assert not list(again.work.glob("converted-*.gguf")), "nothing was converted or quantized again"
    assert [event.key for event in of(e.ArtifactWritten, told(again))] == [*targets]


@pytest.mark.slow
def test_rows_that_do_not_fit_are_not_kept_as_q5_1_which_llama_cpp_computes_coarsely(
    tiny_model: Path, tmp_path: Path
) -> None:
    f32 = tmp_path / "f32.gguf"
    subprocess.run(converting.command(Home.find().vendor, tiny_model, "f32", f32), check=True, capture_output=True)
    kinds = {}
    for name in ("q5_k_m", "q5_1"):
        staged = tmp_path / f"{name}.gguf"
        command = quantize.command(f32, staged, gguf_types.TYPES[name].number, None)
        subprocess.run(command, check=True, capture_output=True)
        kinds[name] = {dtype for dtype, _ in quantize.fell_back(staged).values()}
    assert "Q5_0" in kinds["q5_k_m"] and "Q5_1" not in kinds["q5_k_m"]
    assert "Q5_1" in kinds["q5_1"], "who asks for it gets it"


@pytest.mark.slow
def test_the_importance_matrix_is_the_mean_square_of_each_input(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    f32, rows, staged = tmp_path / "f32.gguf", tmp_path / "rows.npz", tmp_path / "matrix.npz"
    vendor = Home.find().vendor
    subprocess.run(converting.command(vendor, tiny_model, "f32", f32), check=True, capture_output=True)
    texts = [np.arange(10, 40, dtype=np.int32), np.arange(100, 117, dtype=np.int32)]
    np.savez(rows, tokens=np.concatenate(texts), lengths=np.array([len(text) for text in texts]))
    subprocess.run(importance.command(f32, rows, staged), check=True, capture_output=True)
    found = np.load(staged)

    model = load.model(tiny_model, "cpu", torch.float32).eval()
    squares: dict[str, Any] = {}
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.o_proj": "attn_output",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    for layer, block in enumerate(model.model.layers):
        for name, theirs in names.items():

            def keep(module: Any, given: Any, key: str = f"blk.{layer}.{theirs}.weight") -> None:
                squares[key] = squares.get(key, 0) + given[0].double().square().sum(dim=(0, 1))

            block.get_submodule(name).register_forward_pre_hook(keep)
    with torch.inference_mode():
        for text in texts:
            model(input_ids=torch.from_numpy(text.astype(np.int64))[None])
    assert len(found.files) == 2 * 7
    for key, summed in squares.items():
        assert found[key] == pytest.approx((summed / 47).numpy(), rel=0.02), key


def test_too_few_rows_are_no_importance_matrix(run: MakeRun, another: Another, monkeypatch: pytest.MonkeyPatch) -> None:
    context = job(another, run("adapter"), "gguf:q4_k_m")
    monkeypatch.setattr("tunesmith.daemon.worker.lent.LEAST_TOKENS", 10**6)
    with pytest.raises(DataError, match="too few for an importance matrix") as caught:
        Lent(context, lambda written: None, lambda what, share: None).matrix(Path("no.gguf"))
    assert "gguf:q4_k_m-plain" in caught.value.hint
    with pytest.raises(DataError, match="too few to calibrate awq"):
        context.spec = msgspec.structs.replace(context.spec, exports=("awq",))
        export.run(context)
    assert not list(context.artifacts.glob("*awq*"))
