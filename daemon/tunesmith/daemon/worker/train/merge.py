"""The trained model as a plain model folder, the adapter merged into the base: what exports start from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tunesmith.daemon import disk, publish
from tunesmith.daemon.api.whole_files import sync_folder
from tunesmith.daemon.worker import load, processor
from tunesmith.daemon.worker.compare import GENERAL_TEXT, Scores, compare, merged_logits, passages
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.merging import stream
from tunesmith.daemon.worker.merging.fitting import fitted
from tunesmith.daemon.worker.merging.layers import Whole
from tunesmith.daemon.worker.merging.several import several
from tunesmith.daemon.worker.prompts import text_of
from tunesmith.recipes import tuners
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import headers, safetensors
from tunesmith.recipes.planner.stages import needs_merging
from tunesmith.recipes.words import Words, say

# As the base's makers publish them: what transformers saves of a tokenizer lacks SentencePiece's file and much of what
# llama.cpp's converter and older versions read.
TOKENIZER = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
SETTINGS = ("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json")


def run(context: Context) -> None:
    """`context.merged` is made, in the dtypes of the base's files; the trained model is let go.

    Where only the adapter is exported nothing is merged.
    """
    if not needs_merging(context.spec):
        context.let_go()
        return
    tuner = tuners.cards()[context.spec.tuner["kind"]]
    if not tuner.merges:
        raise ModelError(f"{tuner.title} cannot be merged", "Export the adapter only.")
    context.check_cancelled()
    if not tuner.adapter:
        merged = context.model
        context.let_go()
        keep(context, merged)
    elif context.spec.quantization == "none":
        context.let_go()
        adapter_into_base(context)
    else:
        into_unquantized(context)


def into_unquantized(context: Context) -> None:
    """The adapter of a quantized base merged into the unquantized one, and what that changes as a notice.

    Weights that were only dequantized would keep the errors of 4 bits for good.
    """
    import torch

    texts = [*(text_of(row.conversation(), context.tokenizer) for row in context.prepared.questions), GENERAL_TEXT]
    chosen = passages([context.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts])
    trained = [merged_logits(context.model, ids) for ids in chosen]
    context.let_go()
    context.check_cancelled()
    adapter_into_base(context)
    # On the CPU, as it may not fit where the quantized one did; few CPUs compute in float16.
    kind = load.stored_dtype(context.merged)
    merged = load.model(context.merged, "cpu", torch.float32 if kind == torch.float16 else kind).eval()
    scores = compare(trained, (merged_logits(merged, ids) for ids in chosen), chosen)
    context.notice("info", told(context.spec.quantization, scores))


def adapter_into_base(context: Context) -> None:
    adapters_into_base(context, [(context.adapter, 1.0)])


def adapters_into_base(context: Context, adapters: Sequence[tuple[Path, float]]) -> None:
    """`context.merged` made of the base's files and adapters with their weights.

    Raises ModelError for damaged files, MachineError for a full disk.
    """
    processor.release_freed_memory()  # the trained model is not needed any more
    files = {path: safetensors.placed(path) for path in headers.weight_files(context.base)}
    total = sum(path.stat().st_size for path in files)
    disk.refuse_full(context.work, total, "the merged model needs")
    try:
        found = several(context.base, adapters, files.values())
    except Whole as error:
        english = "The adapter is merged with the whole model in memory: {why}."
        context.notice("info", say("merged_whole", english, why=error.why))
        keep(context, adapters_in_memory(context, adapters))
        return
    done = 0
    with publish.staging(context.merged) as staged:
        staged.mkdir()
        with closing(stream.write(files, found, staged)) as written:
            for count in written:
                done += count
                context.progress(done, total, "bytes", say("merging", "merging"))
        if (context.base / headers.INDEX).is_file():
            shutil.copyfile(context.base / headers.INDEX, staged / headers.INDEX)
        beside(context, staged)
        os.rename(staged, context.merged)
        sync_folder(context.merged.parent)


def adapters_in_memory(context: Context, adapters: Sequence[tuple[Path, float]]) -> Any:
    """The base loaded anew with the adapters merged into it; of several, in float32 and beside the base itself."""
    import torch

    stored = load.stored_dtype(context.base)
    kind = torch.float32 if stored == torch.float16 or len(adapters) > 1 else stored

    def alone(adapter: Path) -> Any:
        return fitted(load.model(context.base, "cpu", kind), adapter).merge_and_unload().eval()

    if len(adapters) == 1 and adapters[0][1] == 1.0:
        return alone(adapters[0][0])
    before = load.model(context.base, "cpu", kind).state_dict()
    total = {name: value.clone() for name, value in before.items()}
    result = None
    for adapter, weight in adapters:
        context.check_cancelled()
        merged = alone(adapter)
        for name, value in merged.state_dict().items():
            total[name] += weight * (value - before[name])
        # An adapter can part what was tied, and then all must stay apart.
        if result is None or len(list(merged.parameters())) > len(list(result.parameters())):
            result = merged
    assert result is not None
    result.load_state_dict(total)
    return result


def keep(context: Context, merged: Any) -> None:
    """Write `merged` to `context.merged`, in the base's own dtype, with what belongs to it."""
    merged = merged.to("cpu", load.stored_dtype(context.base))
    merged.save_pretrained(str(context.merged))
    beside(context, context.merged)


def beside(context: Context, folder: Path) -> None:
    """What belongs beside the weights: the base's settings, where `folder` has none of its own, and the tokenizer."""
    for name in SETTINGS:
        own = context.base / name
        if own.is_file() and (name == "generation_config.json" or not (folder / name).exists()):
            shutil.copyfile(own, folder / name)
    context.tokenizer.save_pretrained(str(folder))
    for name in TOKENIZER:
        if (context.base / name).is_file():
            shutil.copyfile(context.base / name, folder / name)


def told(quantization: str, scores: Scores) -> Words:
    return say(
        "merged_unquantized",
        "The adapter was trained on the base in {quantization} and is merged into the unquantized base. The merged "
        "model's next tokens differ from the trained one's by a KL divergence of {divergence} nats and agree in "
        "{agree} of {places} places.",
        quantization=quantization,
        divergence=f"{scores.kl_divergence:.2g}",
        agree=f"{scores.top1_agreement:.0%}",
        places=scores.tokens_compared,
    )
