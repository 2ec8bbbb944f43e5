"""The process that answers from a model folder: answers in turns, and adapters of one base that are exchanged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_child import Child, child, ended, question, refused, scores_of, text_of

from tunesmith.daemon.serving.lines import Embed, Embedded, Generate, Ready, Sampling


def adapter(base: Path, folder: Path, seed: int) -> Path:
    """A LoRA adapter on `base` that changes what it says, as peft saves it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=64, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    tuned.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("adapters")
    return [str(adapter(tiny_model, folder / str(seed), seed)) for seed in (1, 2)]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Iterator[Child]:
    with child(tiny_model) as one:
        ready = one.hear()
        assert isinstance(ready, Ready) and ready.engine == "transformers"
        yield one


@pytest.mark.slow
def test_an_answer_is_what_transformers_itself_would_write(tiny: Child, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_model)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    messages = [{"role": "user", "content": "Hello there"}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**ids, max_new_tokens=8, do_sample=False)[0, ids["input_ids"].shape[1] :]
    wanted = tokenizer.decode(out, skip_special_tokens=True)
    told = tiny.ask("Hello there", max_tokens=8, logprobs=2)
    assert text_of(told) == wanted and ended(told).prompt_tokens == ids["input_ids"].shape[1]
    again = tiny.ask("Hello there", max_tokens=8)
    assert text_of(again) == wanted and ended(again).cached > 16
    assert [len(score.top) for score in scores_of(told)] == [2] * ended(told).tokens


@pytest.mark.slow
def test_adapters_of_one_base_are_exchanged_and_taken_off(tiny: Child, adapters: list[str]) -> None:
    texts = {path: text_of(tiny.ask("Hello there", adapter=path)) for path in ("", *adapters)}
    assert len(set(texts.values())) == 3
    ids = {tiny.new_id(): path for path in ("", *adapters) * 3}
    for id, path in ids.items():
        tiny.send(question(id, "Hello there", adapter=path))
    for id, path in ids.items():
        assert text_of(tiny.until(id)) == texts[path]


@pytest.mark.slow
def test_an_adapter_that_is_none_or_is_of_another_base_is_refused(
    tiny: Child, adapters: list[str], tmp_path: Path
) -> None:
    assert "no adapter" in refused(tiny.ask("x", adapter=str(tmp_path))).message
    other = tmp_path / "other"
    shutil.copytree(adapters[0], other)
    said = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps({**said, "r": 8}))
    assert "does not fit" in refused(tiny.ask("x", adapter=str(other))).message
    (other / "adapter_config.json").write_text(json.dumps({**said, "peft_type": "PREFIX_TUNING"}))
    assert refused(tiny.ask("x", adapter=str(other))).code == "adapter_kind"
    assert ended(tiny.ask("x", max_tokens=1)).tokens == 1


@pytest.mark.slow
def test_settings_of_an_adapter_that_name_code_or_files_are_not_followed(
    tiny: Child, adapters: list[str], tmp_path: Path
) -> None:
    hostile = tmp_path / "hostile"
    shutil.copytree(adapters[0], hostile)
    said = json.loads((hostile / "adapter_config.json").read_text())
    said |= {"base_model_name_or_path": "/nowhere", "auto_mapping": {"parent_library": "antigravity"}}
    (hostile / "adapter_config.json").write_text(json.dumps(said))
    assert text_of(tiny.ask("Hello there", adapter=str(hostile))) == text_of(
        tiny.ask("Hello there", adapter=adapters[0])
    )


@pytest.mark.slow
def test_what_needs_a_grammar_is_refused_and_scores_and_vectors_are_given(tiny: Child) -> None:
    assert refused(tiny.ask("x", schema={"type": "object"})).code == "schema_unsupported"
    id = tiny.new_id()
    tiny.send(Generate(id=id, sampling=Sampling(1, logprobs=1), text="The sky is", echo=True))
    answers = tiny.until(id)
    assert text_of(answers).startswith("The sky is") and len(scores_of(answers)) == ended(answers).prompt_tokens + 1
    id = tiny.new_id()
    tiny.send(Embed(id, "Hello"))
    (vector,) = tiny.until(id)
    assert isinstance(vector, Embedded) and len(vector.vector) == 32
    assert sum(x * x for x in vector.vector) == pytest.approx(1)


@pytest.mark.slow
def test_a_seed_repeats_an_answer(tiny: Child) -> None:
    def told(seed: int, **more: Any) -> str:
        return text_of(tiny.ask("Hello", temperature=1.0, seed=seed, **more))

    assert told(1) == told(1) != told(2)
    assert told(1, top_k=1) == told(2, top_k=1) == text_of(tiny.ask("Hello"))
    assert told(3, top_p=0.9, min_p=0.01, presence_penalty=1.0) == told(3, top_p=0.9, min_p=0.01, presence_penalty=1.0)
