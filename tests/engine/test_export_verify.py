"""Export and verify: what is published, and that a file that differs from the trained model does not pass."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import converting, export, verify
from tunesmith.daemon.worker.compare import POSITIONS, passages
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.prepare import Prepared
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import MachineError, TunesmithError, VerificationError

MakeContext = Callable[..., Context]
Told = Callable[[Context], list[e.Event]]


def random_model(tokenizer_of: Path, folder: Path, seed: int) -> Path:
    """A model folder whose weights are random, and wide enough that another seed gives other distributions."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.copytree(tokenizer_of, folder)
    torch.manual_seed(seed)
    config = AutoConfig.from_pretrained(folder)
    config.initializer_range = 0.15
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def trained(tiny_model: Path, make_context: MakeContext, tmp_path: Path) -> Context:
    """A context as the merge leaves it, with three held-out questions."""
    context = make_context(model={"source": str(tiny_model)}, evaluation={"max_new_tokens": 6})
    random_model(tiny_model, context.merged, seed=1)
    context.adapter.mkdir()
    (context.adapter / "adapter_config.json").write_text("{}")
    names = ("Vesper", "Juno", "Ada")
    context.prepared = Prepared(context)
    context.prepared.questions = [
        HeldOutRow([{"role": "user", "content": f"Are you {name}, born 20{i}6?"}], f"Yes, I am {name}.", (name,))
        for i, name in enumerate(names)
    ]
    return context


def of(kind: type[Any], events: list[e.Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def convert(context: Context, model: Path, final: Path, variant: str = "q8_0") -> None:
    """Publish the GGUF of another model under `final`, as a faulty converter would."""
    with publish.staging(final) as staged:
        subprocess.run(converting.command(context.vendor, model, variant, staged), check=True, capture_output=True)
        publish.publish_file(staged, final)


@pytest.mark.slow
def test_every_target_is_published_told_and_equal_to_the_merged_model(trained: Context, told: Told) -> None:
    trained.begin("export")
    export.run(trained)
    trained.begin("verify")
    verify.run(trained)
    events = told(trained)

    written = of(e.ArtifactWritten, events)
    assert [event.key for event in written] == ["adapter", "merged", "gguf:f16", "gguf:q8_0"]
    q8_0 = publish.verify_file(trained.artifacts / "model-q8_0.gguf")
    assert (written[-1].path, written[-1].bytes, written[-1].sha256) == (
        "artifacts/model-q8_0.gguf", q8_0.bytes, q8_0.sha256,
    )  # fmt: skip
    publish.verify_folder(trained.artifacts)

    results = of(e.Verified, events)
    assert [(result.key, result.passed) for result in results] == [("gguf:f16", True), ("gguf:q8_0", True)]
    for result in results:
        assert result.prompt_equal and result.token_ids_equal
        assert 200 <= result.tokens_compared <= POSITIONS
        assert result.kl_divergence <= result.kl_limit
    assert (results[1].correct, results[1].graded) == (0, 3)
    answers = of(e.Answered, events)
    assert [(answer.subject, answer.row) for answer in answers] == [("gguf", 0), ("gguf", 1), ("gguf", 2)]

    progress = [event for event in of(e.StageProgress, events) if event.stage == "export"]
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert progress[-1].done == progress[-1].total
    card = (trained.artifacts / "README.md").read_text()
    assert "gguf:q8_0" in card and "model-f16.gguf" in card
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=trained.artifacts, check=False)
    assert sums.returncode == 0


@pytest.mark.slow
def test_a_gguf_of_other_weights_fails_after_it_was_told(trained: Context, told: Told, tmp_path: Path) -> None:
    trained.spec = only(trained, "gguf:q8_0")
    convert(trained, random_model(trained.base, tmp_path / "other", seed=2), trained.artifacts / "model-q8_0.gguf")
    trained.begin("verify")
    with pytest.raises(VerificationError, match="KL divergence") as caught:
        verify.run(trained)
    assert caught.value.hint
    (result,) = of(e.Verified, told(trained))
    assert not result.passed
    assert result.kl_divergence > result.kl_limit
    assert result.prompt_equal and result.token_ids_equal


@pytest.mark.slow
def test_a_gguf_with_another_template_fails(trained: Context, told: Told, tmp_path: Path) -> None:
    trained.spec = only(trained, "gguf:f16")
    other = tmp_path / "other"
    shutil.copytree(trained.merged, other)
    template = (other / "chat_template.jinja").read_text()
    (other / "chat_template.jinja").write_text(template.replace("SmolLM", "SmallLM"))
    convert(trained, other, trained.artifacts / "model-f16.gguf", "f16")
    trained.begin("verify")
    with pytest.raises(VerificationError, match="template"):
        verify.run(trained)
    (result,) = of(e.Verified, told(trained))
    assert not result.prompt_equal
    assert result.token_ids_equal and result.kl_divergence <= result.kl_limit


@pytest.mark.slow
def test_a_flipped_bit_is_found_before_the_file_is_loaded(trained: Context) -> None:
    trained.spec = only(trained, "gguf:f16")
    path = trained.artifacts / "model-f16.gguf"
    convert(trained, trained.merged, path, "f16")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    trained.begin("verify")
    with pytest.raises(MachineError, match="damaged"):
        verify.run(trained)


def test_a_converter_that_fails_leaves_nothing(trained: Context) -> None:
    trained.spec = only(trained, "gguf:f16")
    (trained.merged / "config.json").write_text("{}")
    trained.begin("export")
    with pytest.raises(TunesmithError, match="convert_hf_to_gguf"):
        export.run(trained)
    assert list(trained.artifacts.iterdir()) == []


def test_a_full_disk_is_refused_before_anything_is_written(trained: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    trained.begin("export")
    with pytest.raises(MachineError) as caught:
        export.run(trained)
    assert caught.value.code == "disk_full"
    assert list(trained.artifacts.iterdir()) == []


def test_without_a_gguf_there_is_nothing_to_verify(trained: Context, told: Told) -> None:
    trained.spec = only(trained, "adapter")
    trained.begin("verify")
    verify.run(trained)
    assert of(e.Notice, told(trained))
    assert not of(e.Verified, told(trained))


def test_positions_that_two_passages_share_are_counted_once() -> None:
    system = list(range(50))
    chosen = passages([[*system, 100, 101], [*system, 200, 201], list(range(1000, 1600))])
    assert chosen[:2] == [[*system, 100, 101], [*system, 200, 201]]
    assert 52 + 2 + len(chosen[2]) == POSITIONS


def only(context: Context, target: str) -> Any:
    import msgspec

    return msgspec.structs.replace(context.spec, exports=(target,))


def test_python_of_the_environment_runs_the_converter(trained: Context) -> None:
    assert converting.command(trained.vendor, trained.merged, "f16", Path("x.gguf"))[0] == sys.executable
