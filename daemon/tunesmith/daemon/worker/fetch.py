"""Where the base model comes from: the starter, a folder, a GGUF file, or the shared cache, pulled into it first."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.daemon import publish
from tunesmith.daemon.worker import convertible, export_needs, hub_model, starter
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes.errors import MachineError, ModelError
from tunesmith.recipes.models import headers, needed, source, vetted
from tunesmith.recipes.models.source import Folder, GgufFile, Named, Repository, Starter
from tunesmith.recipes.models.starter_file import starter_gguf
from tunesmith.recipes.spec import BENCHMARK, STARTER
from tunesmith.recipes.units import bytes_text
from tunesmith.recipes.words import of_error, say

STARTER_BYTES = 275_000_000  # the float16 folder, measured
# Merged model, its GGUF in f16 and half that in q8_0, while both the working and the published copies exist.
ROOM_FACTOR = 4


def run(context: Context) -> None:
    context.progress(0, 1, "files")
    match source.parse(context.spec.model.source):
        case Starter():
            context.base = unpacked_starter(context)
        case Folder(path):
            context.base = local(Path(path))
        case GgufFile(path):
            context.base = local(hub_model.unpacked(context, Path(path)))
        case Named() | Repository() as asked:
            context.base = local(hub_model.pulled(context, asked))
    weights = sum(file.stat().st_size for file in context.base.glob("*.safetensors"))
    if context.spec.task != BENCHMARK:  # which writes nothing of a model
        refuse_full_disk(context.home.root, weights * ROOM_FACTOR)
    if context.spec.model.source != STARTER:
        show(context)
    convertible.refuse_unknown(context.spec, context.base, context.vendor)
    if lost := convertible.lost_window(context.spec, context.base):
        context.notice("warning", lost)
    export_needs.refuse_unsuited(context.spec, context.base)
    export_needs.refuse_without_files(context.spec, context.base)
    export_needs.install_tools(context)
    context.progress(1, 1, "files")


def show(context: Context) -> None:
    """From here on the stages see what the libraries may be shown of the base. Raises ModelError."""
    for sentence in vetted.view(context.base, context.job / "base", context.home.models):
        context.notice("info", sentence)
    context.show_base(context.job / "base")


def unpacked_starter(context: Context) -> Path:
    final = context.home.models / STARTER
    if not cached(final, context):
        refuse_full_disk(context.home.root, STARTER_BYTES * (ROOM_FACTOR + 1))
        with publish.staging(final) as staged:
            starter.write(starter_gguf(), staged, lambda done: context.progress(done, 1, "files"))
            publish.publish_folder(staged, final)
    return final


def cached(final: Path, context: Context) -> bool:
    """Whether the model lies there whole; a damaged one is reported and made again."""
    if not final.exists():
        return False
    try:
        publish.verify_folder(final)
    except MachineError as error:
        context.notice("warning", say("unpacked_again", "{error}. The model is unpacked again.", error=of_error(error)))
        return False
    return True


def local(folder: Path) -> Path:
    """`folder` when it is a model folder that can be trained. Raises ModelError saying what is missing."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ModelError(
            f"The model folder {folder} {what}", "Give a folder with config.json, safetensors and a tokenizer."
        )
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json", "Give the folder that holds config.json itself.")
    if not any(folder.glob("*.safetensors")):
        hint = "Give a folder with *.safetensors weights."
        if any(folder.glob("*.bin")) or any(folder.glob("*.gguf")):
            hint = "Its weights are in another format; save it once with save_pretrained of transformers."
        raise ModelError(f"{folder} has no safetensors weights", hint)
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(f"{folder} has no tokenizer", "Copy tokenizer.json and tokenizer_config.json to it.")
    config = headers.config_of(folder)
    needed.refuse_unusable(config, str(folder))
    refuse_foreign_code(config, folder)
    return folder


def refuse_foreign_code(config: Mapping[str, Any], folder: Path) -> None:
    """Raises ModelError for a model that only works with Python of its own, which is never run.

    Where transformers has the class itself the model's own is not needed.
    """
    if not needed.wants_code(config):
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if config.get("model_type") not in CONFIG_MAPPING_NAMES:
        raise ModelError(
            f"The model in {folder} ({config.get('model_type')}) needs Python code of its own, which is not run here",
            "Take a model that transformers knows itself; `tunesmith plan --models` lists some.",
            "needs_code",
        )


def refuse_full_disk(folder: Path, needed: int) -> None:
    """Raises MachineError when `needed` bytes do not fit where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise MachineError(
            f"{folder} has {bytes_text(free)} free; this run needs about {bytes_text(needed)}",
            "Free some space, or set TUNESMITH_HOME to a folder on a larger disk.",
            "disk_full",
        )
