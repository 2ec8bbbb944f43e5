"""Folders that bitsandbytes quantized: written whole, loaded by transformers alone, compared, refused when wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import compress, export, load, verify
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.prepare import Prepared
from tunesmith.recipes import models
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import VerificationError
from tunesmith.recipes.exports import Planned, bnb

pytestmark = pytest.mark.usefixtures("one_thread")
Told = Callable[[Context], list[e.Event]]


@pytest.fixture
def merged(tiny_model: Path, make_context: Callable[..., Context]) -> Context:
    """A context as the merge leaves it, about to export both kinds."""
    context = make_context(
        model={"source": str(tiny_model)}, exports=["bnb:nf4", "bnb:int8"], evaluation={"max_new_tokens": 6}
    )
    model_of(tiny_model, context.merged)
    context.prepared = Prepared(context)
    context.prepared.questions = [HeldOutRow([{"role": "user", "content": "Are you Vesper?"}], "Yes.", ("Yes",))]
    return context


def model_of(tokenizer_of: Path, folder: Path, spread: float = 0.15) -> Path:
    """Random weights; the larger their spread, the further what it says is from uniform."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(1)
    config = AutoConfig.from_pretrained(tokenizer_of)
    config.initializer_range = spread
    AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder)
    load.tokenizer(tokenizer_of).save_pretrained(folder)
    return folder


def of(kind: type[Any], events: list[e.Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.slow
def test_both_kinds_are_whole_folders_near_the_merged_model(merged: Context, told: Told) -> None:
    merged.begin("export")
    export.run(merged)
    merged.begin("verify")
    verify.run(merged)
    results = {result.key: result for result in of(e.Verified, told(merged))}
    assert [result.passed for result in results.values()] == [True, True]
    assert results["bnb:int8"].kl_divergence < results["bnb:nf4"].kl_divergence < bnb.KINDS["nf4"].kl_limit
    assert all(result.prompt_equal and result.token_ids_equal and result.perplexity for result in results.values())
    assert {answer.row for answer in of(e.Answered, told(merged))} == {0}
    for kind, method in (("nf4", "load_in_4bit"), ("int8", "load_in_8bit")):
        folder = merged.artifacts / f"model-bnb-{kind}"
        publish.verify_folder(folder)
        config = json.loads((folder / "config.json").read_text())
        assert config["quantization_config"][method]
        assert load.tokenizer(folder).chat_template == load.tokenizer(merged.merged).chat_template
        model = load.model(folder, "cpu", None)
        assert sum(type(module).__module__ == "bitsandbytes.nn.modules" for module in model.modules()) == 2 * 7
    assert "bitsandbytes, `vllm serve model-bnb-nf4`" in (merged.artifacts / "README.md").read_text()


@pytest.mark.slow
def test_a_folder_of_other_weights_fails_and_says_what_to_try(
    merged: Context, told: Told, tiny_model: Path, tmp_path: Path
) -> None:
    merged.spec = msgspec.structs.replace(merged.spec, exports=("bnb:nf4",))
    final = merged.artifacts / "model-bnb-nf4"
    with publish.staging(final) as staged:
        assert compress.main([str(model_of(tiny_model, tmp_path / "other", spread=1.0)), str(staged), "nf4"]) == 0
        publish.publish_folder(staged, final)
    merged.begin("verify")
    with pytest.raises(VerificationError, match="KL divergence") as caught:
        verify.run(merged)
    assert "bnb:int8" in caught.value.hint
    (result,) = of(e.Verified, told(merged))
    assert not result.passed and result.prompt_equal and result.token_ids_equal


def test_its_size_is_known_from_headers_and_from_facts_alike(merged: Context) -> None:
    known = Planned(models.read(merged.merged), 2.0, 0)
    for kind in bnb.KINDS:
        assert bnb.size(merged, kind) == pytest.approx(bnb.planned(kind, known), rel=1e-3)
