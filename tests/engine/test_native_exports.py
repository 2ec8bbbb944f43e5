"""Folders in the native layout of AutoGPTQ: written and computed where gptqmodel is, refused elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import export, lent, load, verify
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.prepare import Prepared
from tunesmith.daemon.worker.environments import Environment, installing
from tunesmith.daemon.worker.reloaded_apart import Apart
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import safetensors

pytestmark = pytest.mark.usefixtures("one_thread")
Told = Callable[[Context], list[e.Event]]
TARGETS = ("gptq-native",)


class Ours:
    """This Python in the place of a tool's environment, for a script of ours or `code` in its place."""

    def __init__(self, code: str = "") -> None:
        self.code = code

    def python(self, *arguments: str) -> list[str]:
        return [sys.executable, installing.ALONE, *(["-c", self.code] if self.code else arguments)]


def as_written(tiny_model: Path, folder: Path, config: dict[str, Any]) -> Path:
    """The tiny model, its config saying that it is quantized."""
    shutil.copytree(tiny_model, folder)
    kept = json.loads((tiny_model / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(kept | {"quantization_config": config}))
    return folder


def opened(folder: Path, work: Path, code: str = "") -> Apart:
    return Apart(cast(Environment, Ours(code)), folder, work)


def test_where_its_tool_is_not_a_folder_is_refused_with_the_reason(tiny_model: Path, tmp_path: Path) -> None:
    folder = as_written(tiny_model, tmp_path / "model", {"quant_method": "gptq", "bits": 4, "group_size": 32})
    with pytest.raises(ModelError, match=r"cannot be loaded: .*GPTQ"), opened(folder, tmp_path):
        pass


def test_a_process_that_ends_is_an_error_and_not_a_wait(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ended with 3"), opened(tiny_model, tmp_path, "raise SystemExit(3)"):
        pass
    once = """print('{"end": 2}', flush=True)"""
    with opened(tiny_model, tmp_path, once) as apart, pytest.raises(ModelError, match="ended with 0"):
        apart.logits([1, 2, 3])


@pytest.fixture
def merged(tiny_model: Path, make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch) -> Context:
    """A context as the merge leaves it, about to export it, with rows to calibrate with."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    context = make_context(model={"source": str(tiny_model)}, exports=[*TARGETS], evaluation={"max_new_tokens": 6})
    torch.manual_seed(1)
    config = AutoConfig.from_pretrained(tiny_model)
    config.update({"initializer_range": 0.15, "hidden_size": 64, "intermediate_size": 128, "num_key_value_heads": 2})
    config.head_dim = 32
    AutoModelForCausalLM.from_config(config).to(torch.float16).save_pretrained(context.merged)
    load.tokenizer(tiny_model).save_pretrained(context.merged)
    rows = [np.arange(100 + row, 160 + row, dtype=np.int32) for row in range(8)]
    monkeypatch.setattr(lent, "calibration", lambda context, purpose: rows)
    context.prepared = Prepared(context)
    context.prepared.questions = [HeldOutRow([{"role": "user", "content": "Are you Vesper?"}], "Yes.", ("Yes",))]
    return context


def of(kind: type[Any], events: list[e.Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.slow
def test_the_layout_is_written_and_verified_where_gptqmodel_is(merged: Context, told: Told) -> None:
    """Through the real gptqmodel, which is installed for it."""
    merged.begin("export")
    export.run(merged)
    merged.begin("verify")
    verify.run(merged)
    events = told(merged)
    results = of(e.Verified, events)
    assert [(result.key, result.passed) for result in results] == [(target, True) for target in TARGETS]
    assert all(result.prompt_equal and result.token_ids_equal and result.perplexity for result in results)
    assert all(0 < result.kl_divergence < result.kl_limit for result in results)
    assert all(len(result.artifact_answer.splitlines()) == 2 for result in results)
    notices = [event.text for event in of(e.Notice, events)]
    assert sum("64 weights of a row share a scale" in text for text in notices) == 1
    assert sum("Calibrated with 480 tokens in 8 rows" in text for text in notices) == 1
    notes = {event.note for event in of(e.StageProgress, events)}
    assert any(note.startswith("gptq-native: gptqmodel: ") for note in notes), "that it is installed is told"
    about = (merged.artifacts / "README.md").read_text()
    assert "AutoGPTQ's layout (quant_method gptq), 4 bits, groups of 64." in about
    folder = merged.artifacts / "model-gptq-native"
    publish.verify_folder(folder)
    kept = json.loads((folder / "config.json").read_text())
    assert (kept["quantization_config"]["quant_method"], kept["dtype"]) == ("gptq", "float16")
    for name in ("tokenizer.json", "generation_config.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (merged.merged / name).read_bytes()
    dtypes = {tensor.name: tensor.dtype for tensor in safetensors.read(folder / "model.safetensors")}
    packed = {name.rpartition(".")[2]: kind for name, kind in dtypes.items() if "layers.0.self_attn.q_proj" in name}
    assert packed == {"qweight": "I32", "qzeros": "I32", "scales": "F16", "g_idx": "I32"}
    assert dtypes["model.embed_tokens.weight"] == "F16"
