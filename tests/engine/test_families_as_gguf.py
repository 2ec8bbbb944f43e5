"""Every family of models that most people tune: merged, written as a GGUF of float16, and found to be the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import exported_families
import families
import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import export, load, verify
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.prepare import Prepared
from tunesmith.daemon.worker.train import merge
from tunesmith.recipes.data.held_out import HeldOutRow

pytestmark = pytest.mark.usefixtures("one_thread")
MOST = 1e-4  # nats a token: what float16 leaves out comes to a few millionths


@pytest.mark.slow
@pytest.mark.parametrize("family", exported_families.PUBLISHED, ids=lambda family: family.name)
def test_a_tuned_model_is_the_same_in_llama_cpp(
    family: exported_families.Published,
    make_context: Callable[..., Context],
    told: Callable[[Context], list[e.Event]],
    tmp_path: Path,
) -> None:
    base = exported_families.publish(family, tmp_path / "base")
    context = make_context(
        model={"source": str(base)}, exports=["gguf:f16"], evaluation={"max_new_tokens": 4}, tuner={"kind": "lora"}
    )
    families.with_adapter(load.model(base, "cpu", None)).save_pretrained(str(context.adapter))
    context.tokenizer = load.tokenizer(base)
    context.prepared = Prepared(context)
    question = [{"role": "user", "content": "Are you Vesper, born 2016?"}]
    context.prepared.questions = [HeldOutRow(question, "Yes, I am  Vesper.", ("Vesper",))]
    context.begin("export")
    merge.adapter_into_base(context)
    export.run(context)
    context.begin("verify")
    verify.run(context)
    (result,) = [event for event in told(context) if isinstance(event, e.Verified)]
    print(f"\n{family.name}: KL {result.kl_divergence:.2g}, first choice {result.top1_agreement:.1%}")
    assert result.prompt_equal and result.token_ids_equal
    assert result.kl_divergence <= MOST
