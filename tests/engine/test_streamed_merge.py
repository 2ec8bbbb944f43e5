"""An adapter merged file by file is what peft makes of it in memory, for every tuner and kind of model."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from adapters import CLOSE, LINEAR, LORA, adapter, loaded, saved

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.context import Context, Stopped
from tunesmith.daemon.worker.merging import stream
from tunesmith.daemon.worker.merging.layers import Whole, layers
from tunesmith.daemon.worker.train import merge
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import headers, safetensors

pytestmark = pytest.mark.usefixtures("one_thread")


def by_peft(base: Path, adapter: Path, dtype: str) -> dict[str, Any]:
    """Tensors of the merged model by its own names, computed as it was before: in float32 where that is wider."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    kind = torch.float32 if dtype == "float16" else getattr(torch, dtype)
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=kind)
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    return dict(merged.to(getattr(torch, dtype)).state_dict())


def streamed(base: Path, adapter: Path, folder: Path) -> Path:
    files = {path: safetensors.placed(path) for path in headers.weight_files(base)}
    folder.mkdir()
    for path in base.glob("*.json"):
        shutil.copy(path, folder)
    written = sum(stream.write(files, layers(base, adapter, files.values()), folder))
    assert written == sum(path.stat().st_size for path in files)
    return folder


def same(base: Path, adapter: Path, folder: Path, dtype: str = "float32") -> None:
    """What is written is peft's to the last bit that float32 has, and it is not the base."""
    import torch

    expected, before = by_peft(base, adapter, dtype), loaded(base).state_dict()
    found = loaded(streamed(base, adapter, folder)).state_dict()
    assert found.keys() == expected.keys()
    changed = [name for name in found if not torch.equal(found[name], before[name])]
    assert changed
    for name, value in found.items():
        assert value.dtype == before[name].dtype, name
        if name in changed:
            torch.testing.assert_close(value, expected[name], **(CLOSE if dtype == "float32" else {}))
        else:
            assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(
    "name",
    [
        "llama", "llama_tied_bias", "qwen2", "gemma3_with_eyes", "phi3", "phimoe", "gpt_neox", "gpt2", "mamba",
    ],
)  # fmt: skip
def test_lora_on_every_linear_layer_of_every_kind_of_model(name: str, tmp_path: Path) -> None:
    from peft import LoraConfig

    base = saved(name, tmp_path / "base")
    more = {"fan_in_fan_out": True} if name == "gpt2" else {}
    targets = {"target_modules": ["in_proj"]} if name == "mamba" else {}
    same(base, adapter(base, tmp_path / "adapter", LoraConfig(**LORA | targets, **more)), tmp_path / "merged")


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "qwen3_next"])
def test_beside_experts_which_stay_as_they_are(name: str, tmp_path: Path) -> None:
    from peft import LoraConfig

    base = saved(name, tmp_path / "base")
    config = LoraConfig(r=4, target_modules=["q_proj", "o_proj"])
    same(base, adapter(base, tmp_path / "adapter", config), tmp_path / "merged")


def test_experts_are_taken_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """The tenth comes after the ninth and not after the first, in files of several shards too."""
    from families import EXPERTS, HEADS, Family, config
    from peft import LoraConfig

    many = config("Qwen3MoeConfig", **HEADS | EXPERTS, num_experts=12, moe_intermediate_size=32)
    base = saved(Family("many", many), tmp_path / "base", "float16", shard="40KB")
    same(base, adapter(base, tmp_path / "adapter", LoraConfig(**LORA)), tmp_path / "merged", "float16")


def tuners() -> dict[str, Any]:
    from peft import HRAConfig, IA3Config, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig

    return {
        "rslora": LoraConfig(**LORA, use_rslora=True),
        "dora": LoraConfig(**LORA, use_dora=True),
        "ranks": LoraConfig(**LORA, rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 3}),
        "embeddings": LoraConfig(r=4, target_modules=["embed_tokens", "q_proj"]),
        "saved": LoraConfig(r=4, target_modules=LINEAR, modules_to_save=["embed_tokens", "lm_head", "norm"]),
        "tokens": LoraConfig(r=4, target_modules=LINEAR, trainable_token_indices=[3, 5, 8]),
        "ia3": IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
        "loha": LoHaConfig(r=4, target_modules=LINEAR),
        "lokr": LoKrConfig(r=4, target_modules=LINEAR),
        "oft": OFTConfig(oft_block_size=8, target_modules=LINEAR, use_cayley_neumann=False),
        "hra": HRAConfig(r=4, target_modules=LINEAR),
    }


@pytest.mark.parametrize(
    "tuner", ["rslora", "dora", "ranks", "embeddings", "saved", "tokens", "ia3", "loha", "lokr", "oft", "hra"]
)
def test_every_tuner(tuner: str, tmp_path: Path) -> None:
    base = saved("llama", tmp_path / "base")
    same(base, adapter(base, tmp_path / "adapter", tuners()[tuner]), tmp_path / "merged")


def test_a_trained_bias_and_a_bias_of_ia3(tmp_path: Path) -> None:
    from peft import IA3Config, LoraConfig

    base = saved("llama_tied_bias", tmp_path / "base")
    for name, config in (
        ("lora", LoraConfig(r=4, target_modules=["q_proj", "v_proj"], lora_bias=True)),
        ("ia3", IA3Config(target_modules=["k_proj", "v_proj"], feedforward_modules=[])),
    ):
        same(base, adapter(base, tmp_path / name, config), tmp_path / f"{name}-merged")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_shards_in_16_bits_stay_shards_in_16_bits(dtype: str, tmp_path: Path) -> None:
    from peft import LoraConfig

    base = saved("llama", tmp_path / "base", dtype, shard="40KB")
    same(base, adapter(base, tmp_path / "adapter", LoraConfig(**LORA)), tmp_path / "merged", dtype)
    names = sorted(path.name for path in base.glob("*.safetensors"))
    assert len(names) > 3
    for name in names:
        ours, theirs = tmp_path / "merged" / name, base / name
        assert safetensors.placed(ours) == safetensors.placed(theirs)


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "phimoe", "jamba", "gpt_oss"])
def test_experts_that_the_model_computes_together(name: str, tmp_path: Path) -> None:
    """Files hold each by itself, gate and up apart; of GPT-OSS all of a layer in one tensor."""
    from peft import LoraConfig

    base = saved(name, tmp_path / "base")
    experts = {"target_modules": ["q_proj"], "target_parameters": ["experts.gate_up_proj", "experts.down_proj"]}
    config = LoraConfig(**LORA | (experts if name in ("phimoe", "jamba", "gpt_oss") else {}))
    same(base, adapter(base, tmp_path / "adapter", config), tmp_path / "merged")


@pytest.mark.parametrize("case", ["saved tied embeddings", "pissa"])
def test_what_needs_the_whole_model_says_so(case: str, tmp_path: Path) -> None:
    from peft import LoraConfig

    name, config = {
        "saved tied embeddings": ("llama_tied_bias", LoraConfig(**LORA, modules_to_save=["embed_tokens"])),
        "pissa": ("llama", LoraConfig(**LORA, init_lora_weights="pissa")),
    }[case]
    base = saved(name, tmp_path / "base")
    with pytest.raises(Whole):
        streamed(base, adapter(base, tmp_path / "adapter", config), tmp_path / "merged")


@pytest.fixture
def job(make_context: Callable[..., Context], starter_tokenizer_folder: Path, tmp_path: Path) -> Callable[..., Context]:
    """A context with a base in shards and an adapter beside it, about to merge them."""

    def make(name: str, **more: Any) -> Context:
        from peft import LoraConfig

        base = saved(name, tmp_path / "base", "float16", "40KB")
        context = make_context(model={"source": str(base)}, exports=["merged"])
        adapter(base, context.adapter, LoraConfig(**LORA | more))
        context.tokenizer = load.tokenizer(starter_tokenizer_folder)
        context.begin("export")
        return context

    return make


def test_the_merged_folder_has_all_that_a_model_needs(
    job: Callable[..., Context], told: Callable[[Context], list[e.Event]]
) -> None:
    import torch

    context = job("llama")
    merge.adapter_into_base(context)
    found, expected = loaded(context.merged).state_dict(), by_peft(context.base, context.adapter, "float16")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert load.tokenizer(context.merged).chat_template
    for name in ("config.json", "model.safetensors.index.json", "generation_config.json"):
        assert (context.merged / name).read_bytes() == (context.base / name).read_bytes()
    progress = [event for event in told(context) if isinstance(event, e.StageProgress)]
    assert progress[-1].done == progress[-1].total and progress[-1].note == "merging"


def test_the_tokenizer_is_the_one_that_the_base_came_with(job: Callable[..., Context]) -> None:
    """What transformers saves lacks SentencePiece's file, without which Phi-3 and Gemma are not converted."""
    context = job("llama")
    context.tokenizer.save_pretrained(str(context.base))
    for name in ("tokenizer.model", "added_tokens.json", "tokenizer_config.json"):
        (context.base / name).write_bytes(f"{name} of the base".encode())
    merge.adapter_into_base(context)
    for name in ("tokenizer.model", "added_tokens.json", "tokenizer_config.json", "tokenizer.json"):
        assert (context.merged / name).read_bytes() == (context.base / name).read_bytes()


def test_what_cannot_be_streamed_is_merged_in_memory_and_said(
    job: Callable[..., Context], told: Callable[[Context], list[e.Event]]
) -> None:
    import torch

    context = job("llama", init_lora_weights="pissa")
    merge.adapter_into_base(context)
    found, expected = loaded(context.merged).state_dict(), by_peft(context.base, context.adapter, "float16")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert any("in memory" in event.text for event in told(context) if isinstance(event, e.Notice))


def test_several_that_cannot_be_streamed_are_added_up_in_memory(job: Callable[..., Context]) -> None:
    import torch

    context = job("llama_tied_bias", init_lora_weights="pissa")
    before = loaded(context.base).state_dict()
    merged = by_peft(context.base, context.adapter, "float32")
    merge.adapters_into_base(context, [(context.adapter, 1.25), (context.adapter, -0.5)])
    for name, value in loaded(context.merged).state_dict().items():
        expected = before[name].float() + 0.75 * (merged[name] - before[name].float())
        torch.testing.assert_close(value.float(), expected, rtol=1e-3, atol=1e-4)


def test_a_merge_that_is_cancelled_leaves_nothing(job: Callable[..., Context], monkeypatch: pytest.MonkeyPatch) -> None:
    context = job("llama")

    def cancelled(*_: object) -> None:
        raise Stopped

    monkeypatch.setattr(context, "progress", cancelled)
    with pytest.raises(Stopped):
        merge.adapter_into_base(context)
    assert [path.name for path in context.work.iterdir()] == ["adapter"]


def test_an_adapter_that_lacks_a_weight_is_refused(tmp_path: Path) -> None:
    from peft import LoraConfig
    from safetensors.torch import load_file, save_file

    base = saved("llama", tmp_path / "base")
    kept = adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    weights = load_file(kept / "adapter_model.safetensors")
    weights.pop(next(iter(weights)))
    save_file(weights, kept / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="lacks"):
        streamed(base, kept, tmp_path / "merged")


def test_a_cut_or_misdescribed_base_is_refused(tmp_path: Path) -> None:
    from peft import LoraConfig

    base = saved("llama", tmp_path / "base")
    kept = adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    file = base / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        streamed(base, kept, tmp_path / "merged")
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    name = next(name for name in header if name.endswith("q_proj.weight"))
    header[name]["shape"].reverse()
    header[name]["shape"].append(1)
    packed = json.dumps(header).encode().ljust(length)
    file.write_bytes(len(packed).to_bytes(8, "little") + packed + whole[8 + length :])
    with pytest.raises(Whole, match="q_proj"):
        streamed(base, kept, tmp_path / "merged-2")


def test_threads_go_to_different_files_while_there_are_several() -> None:
    long, short = stream.File(3, iter([lambda: 1] * 3)), stream.File(4, iter([lambda: 1]))
    schedule = stream.Schedule([long, short])
    (first, _), (second, _), (third, _) = (schedule.take() or (None, None) for _ in range(3))
    assert (first, second, third) == (long, short, long)  # the short one has no more
    assert (long.writers, short.writers) == (2, 1)
    assert not schedule.done(short, 1)
    assert schedule.done(long, stream.SYNCED_BYTES)
    assert not schedule.done(long, 1)
    assert (schedule.take() or (None,))[0] is long
    assert schedule.take() is None


def test_a_piece_that_fails_ends_the_merge_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft import LoraConfig

    base = saved("llama", tmp_path / "base")
    files = {path: safetensors.placed(path) for path in headers.weight_files(base)}
    found = layers(base, adapter(base, tmp_path / "adapter", LoraConfig(**LORA)), files.values())
    wrote, write_at = 0, stream.write_at

    def full(*given: Any) -> None:
        nonlocal wrote
        if (wrote := wrote + 1) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_at(*given)

    monkeypatch.setattr(stream, "write_at", full)
    folder = tmp_path / "merged"
    folder.mkdir()
    with pytest.raises(OSError, match="No space left"):
        sum(stream.write(files, found, folder))
