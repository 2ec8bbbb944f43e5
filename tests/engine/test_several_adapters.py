"""Several adapters with weights in one base: what is written is the base and the weighted sum of what each changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from adapters import BY_NAME, CLOSE, LINEAR, adapter, loaded, saved

from tunesmith.daemon.worker.merging import stream
from tunesmith.daemon.worker.merging.several import several
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import headers, safetensors

pytestmark = pytest.mark.usefixtures("one_thread")
Weighted = Sequence[tuple[Path, float]]


def streamed(base: Path, adapters: Weighted, folder: Path) -> dict[str, Any]:
    files = {path: safetensors.placed(path) for path in headers.weight_files(base)}
    folder.mkdir()
    for path in base.glob("*.json"):
        shutil.copy(path, folder)
    for _ in stream.write(files, several(base, adapters, files.values()), folder):
        pass
    return dict(loaded(folder).state_dict())


def test_lora_adapters_are_what_peft_calls_cat(tmp_path: Path) -> None:
    """Of other ranks, scalings and layers, one of them taken away."""
    import torch
    from peft import LoraConfig, PeftModel

    base = saved("llama", tmp_path / "base")
    configs = (
        LoraConfig(r=4, lora_alpha=12, target_modules="all-linear"),
        LoraConfig(r=2, lora_alpha=3, target_modules=LINEAR, use_rslora=True),
        LoraConfig(r=8, lora_alpha=8, target_modules=["q_proj"]),
    )
    weights = (0.7, -0.4, 1.5)
    adapters = [(adapter(base, tmp_path / str(i), config), weights[i]) for i, config in enumerate(configs)]
    model: Any = PeftModel.from_pretrained(loaded(base), str(adapters[0][0]), adapter_name="0")
    for i, (folder, _) in enumerate(adapters[1:], 1):
        model.load_adapter(str(folder), adapter_name=str(i))
    # peft takes no negative weights for `cat`: it is put into the second adapter's matrices instead.
    for name, value in model.named_parameters():
        if "lora_B.1" in name:
            value.data.neg_()
    model.add_weighted_adapter(["0", "1", "2"], [abs(one) for one in weights], "sum", combination_type="cat")
    model.set_adapter("sum")
    expected = model.merge_and_unload(adapter_names=["sum"]).state_dict()

    before = loaded(base).state_dict()
    found = streamed(base, adapters, tmp_path / "merged")
    changed = [name for name in found if not torch.equal(found[name], before[name])]
    assert len(changed) == 2 * 7
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], **CLOSE)


def alone(base: Path, folder: Path) -> dict[str, Any]:
    from peft import PeftModel

    merged: Any = PeftModel.from_pretrained(loaded(base), str(folder)).merge_and_unload()
    return dict(merged.state_dict())


def test_adapters_of_every_kind_add_what_each_changes_by_itself(tmp_path: Path) -> None:
    import torch
    from peft import IA3Config, LoHaConfig, LoraConfig, OFTConfig

    base = saved("llama", tmp_path / "base")
    configs = (
        LoraConfig(r=4, target_modules=LINEAR, use_dora=True),
        LoraConfig(r=2, target_modules=LINEAR, modules_to_save=["lm_head", "norm"]),
        LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=[3, 5]),
        IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
        LoHaConfig(r=4, target_modules=LINEAR),
        OFTConfig(oft_block_size=8, target_modules=LINEAR, use_cayley_neumann=False),
    )
    adapters = [
        (adapter(base, tmp_path / str(number), config), 0.2 * (number + 1)) for number, config in enumerate(configs)
    ]
    before = loaded(base).state_dict()
    each = [(alone(base, folder), weight) for folder, weight in adapters]
    found = streamed(base, adapters, tmp_path / "merged")
    for name, value in found.items():
        expected = before[name] + sum(weight * (merged[name] - before[name]) for merged, weight in each)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(found["model.embed_tokens.weight"], before["model.embed_tokens.weight"])


def test_one_adapter_can_be_made_weaker(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig

    base = saved("llama", tmp_path / "base", "float16", shard="40KB")
    folder = adapter(base, tmp_path / "adapter", LoraConfig(r=4, target_modules=LINEAR))
    before, whole = loaded(base).state_dict(), streamed(base, [(folder, 1.0)], tmp_path / "whole")
    half = streamed(base, [(folder, 0.5)], tmp_path / "half")
    for name, value in half.items():
        middle = (before[name].float() + whole[name].float()) / 2
        torch.testing.assert_close(value.float(), middle, rtol=2e-3, atol=1e-4)


def test_an_adapter_of_a_model_of_other_sizes_or_layers_is_refused(tmp_path: Path) -> None:
    from families import Family, base, config
    from peft import LoraConfig

    ours = saved("llama", tmp_path / "base")
    sizes = BY_NAME["llama"].config().to_dict() | {"model_type": "llama"}
    sizes.pop("transformers_version", None)
    for number, change in enumerate(({"hidden_size": 32}, {"num_hidden_layers": 3})):
        folder = tmp_path / f"other-{number}"
        base(Family("llama", config("LlamaConfig", **sizes | change))).save_pretrained(str(folder))
        made = adapter(folder, tmp_path / f"adapter-{number}", LoraConfig(r=4, target_modules=LINEAR))
        with pytest.raises(ModelError, match="does not fit the base") as caught:
            streamed(ours, [(made, 1.0)], tmp_path / f"merged-{number}")
        assert caught.value.code == "other_base" and caught.value.hint
    other = saved("gpt2", tmp_path / "gpt2")
    made = adapter(other, tmp_path / "of-gpt2", LoraConfig(r=4, target_modules=["c_attn"], fan_in_fan_out=True))
    with pytest.raises(ModelError, match="does not fit the base"):
        streamed(ours, [(made, 1.0)], tmp_path / "merged-gpt2")


def test_what_is_no_adapter_or_cannot_be_merged_is_refused(tmp_path: Path) -> None:
    from peft import PromptTuningConfig, get_peft_model

    base = saved("llama", tmp_path / "base")
    with pytest.raises(ModelError, match="has no adapter_model") as caught:
        streamed(base, [(tmp_path / "nothing", 1.0)], tmp_path / "1")
    assert caught.value.code == "no_adapter"
    folder = tmp_path / "prompt"
    prompts = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    get_peft_model(loaded(base), prompts).save_pretrained(str(folder))
    with pytest.raises(ModelError, match=r"PROMPT_TUNING.* cannot be merged") as caught:
        streamed(base, [(folder, 1.0)], tmp_path / "2")
    assert caught.value.code == "cannot_merge"
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "NEWEST"}))
    with pytest.raises(ModelError, match="cannot be read"):
        streamed(base, [(folder, 1.0)], tmp_path / "3")
