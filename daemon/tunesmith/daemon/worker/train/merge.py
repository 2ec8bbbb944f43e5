"""The trained model as a plain model folder, the adapter merged into the base: what exports start from."""

from __future__ import annotations

import shutil
from typing import Any

from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.compare import GENERAL_TEXT, Scores, compare, merged_logits, passages
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.prompts import text_of
from tunesmith.recipes import tuners
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.planner.stages import needs_merging


def run(context: Context) -> None:
    """Merged in the training dtype, kept in the base's own; the trained model is taken and let go.

    Where only the adapter is exported nothing is merged.
    """
    if not needs_merging(context.spec):
        context.model = None
        return
    tuner = tuners.cards()[context.spec.tuner["kind"]]
    if not tuner.merges:
        raise ModelError(f"{tuner.title} cannot be merged", "Export the adapter only.")
    context.check_cancelled()
    if not tuner.adapter:
        merged, context.model = context.model, None
    elif context.spec.quantization == "none":
        merged = context.model.merge_and_unload()
        context.model = None
    else:
        merged = merged_into_whole(context)
    keep(context, merged)


def merged_into_whole(context: Context) -> Any:
    """The adapter of a quantized base merged into the unquantized one, and what that changes as a notice.

    Weights that were only dequantized would keep the errors of 4 bits for good.
    """
    texts = [*(text_of(row.conversation(), context.tokenizer) for row in context.prepared.questions), GENERAL_TEXT]
    chosen = passages([context.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts])
    trained = [merged_logits(context.model, ids) for ids in chosen]
    context.model = None
    context.check_cancelled()
    merged = adapter_in_base(context)
    scores = compare(trained, (merged_logits(merged, ids) for ids in chosen), chosen)
    context.notice("info", told(context.spec.quantization, scores))
    return merged


def adapter_in_base(context: Context) -> Any:
    """The base loaded anew with the adapter in `context.adapter` merged into it."""
    import torch
    from peft import PeftModel

    # On the CPU, as the whole base may not fit where the quantized one did; few CPUs compute in float16.
    kind = load.stored_dtype(context.base)
    base = load.model(context.base, "cpu", torch.float32 if kind == torch.float16 else kind)
    return PeftModel.from_pretrained(base, str(context.adapter)).merge_and_unload().eval()


def keep(context: Context, merged: Any) -> None:
    """Write `merged` to `context.merged`, in the base's own dtype, with what belongs to it."""
    merged = merged.to("cpu", load.stored_dtype(context.base))
    merged.save_pretrained(str(context.merged))
    context.tokenizer.save_pretrained(str(context.merged))
    own = context.base / "generation_config.json"
    if own.is_file():
        shutil.copyfile(own, context.merged / own.name)


def told(quantization: str, scores: Scores) -> str:
    return (
        f"The adapter was trained on the base in {quantization} and is merged into the unquantized base. The merged "
        f"model's next tokens differ from the trained one's by a KL divergence of {scores.kl_divergence:.2g} nats and "
        f"agree in {scores.top1_agreement:.0%} of {scores.tokens_compared} places."
    )
