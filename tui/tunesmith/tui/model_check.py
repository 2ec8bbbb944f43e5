"""What a model folder holds, read from its own files without an engine; and where a model of a hub will come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from textual.content import Content

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import json_file, safetensors, source
from tunesmith.recipes.models.safetensors import Tensor
from tunesmith.recipes.models.source import GgufFile, Named, Repository
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.explained import SAID
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


class ModelFacts(msgspec.Struct, frozen=True):
    """`parameters` is counted from the tensors' shapes; `bytes` is all weight files together."""

    folder: Path
    architecture: str
    parameters: int
    bytes: int
    dtype: str
    context: int | None
    layers: int | None
    chat_template: bool


def no_folder(text: str) -> Named | Repository | GgufFile | None:
    """The model that `text` names rather than a folder. Raises RecipeError."""
    found = source.parse(source.located(text.strip(), Path.cwd()))
    return found if isinstance(found, Named | Repository | GgufFile) else None


def way_to(asked: Named | Repository | GgufFile, home: Home) -> Content:
    """Whether it is here, or what the run will fetch; no hub is asked. Raises ModelError for what is no GGUF file."""
    from tunesmith.daemon.api import model_facts

    first = source.preferred(os.environ)
    if isinstance(asked, GgufFile):
        if not Path(asked.path).is_file():
            raise ModelError(t("model.missing", path=asked.path), _nearby(Path(asked.path)), SAID)
        facts = model_facts.facts_of(home, asked.path, first)
        room = bytes_text(facts.to_fetch) if facts is not None else ""
        return Content.assemble(("▲ ", "$warning bold"), t("model.gguf", bytes=room))
    if (here := model_facts.lies_here(home, asked, first)) is not None:
        return Content.assemble(("✓ ", "$success bold"), t("model.hub_here", folder=here))
    facts = model_facts.of_a_hub(home, asked, first)
    said = t("model.hub_asked") if facts is None else t("model.hub_fetched", bytes=bytes_text(facts.to_fetch))
    return Content.assemble(("○ ", "$foreground 50%"), said)


def check(text: str) -> ModelFacts:
    """The model in the folder named `text`. Raises ModelError saying what is missing and what to do."""
    folder = Path(text.strip()).expanduser()
    if not text.strip():
        raise ModelError(t("model.empty_path"), t("model.empty_path_hint"), SAID)
    if not folder.exists():
        raise ModelError(t("model.missing", path=folder), _nearby(folder), SAID)
    if not folder.is_dir():
        raise ModelError(t("model.not_folder", path=folder), t("model.not_folder_hint", path=folder.parent), SAID)
    config = _config(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        others = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        hint = t("model.pickle_hint") if others else t("model.no_weights_hint")
        raise ModelError(t("model.no_weights", path=folder), hint, SAID)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(t("model.no_tokenizer", path=folder), t("model.no_tokenizer_hint"), SAID)
    tensors = [tensor for path in weights for tensor in _header(path)]
    kinds = {tensor.dtype for tensor in tensors}
    names = config.get("architectures")
    text_config = config.get("text_config") if isinstance(config.get("text_config"), dict) else config
    return ModelFacts(
        folder=folder.resolve(),
        architecture=str(names[0] if isinstance(names, list) and names else config.get("model_type", "?")),
        parameters=sum(tensor.numbers for tensor in tensors),
        bytes=sum(path.stat().st_size for path in weights),
        dtype=", ".join(sorted(kinds)),
        context=_whole(text_config, "max_position_embeddings"),
        layers=_whole(text_config, "num_hidden_layers"),
        chat_template=_has_template(folder),
    )


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").exists():
        raise ModelError(t("model.no_config", path=folder), t("model.no_config_hint"), SAID)
    try:
        return json_file.read(folder / "config.json")
    except ModelError as error:
        raise ModelError(t("model.bad_config", path=folder, error=error), t("model.copy_again"), SAID) from error


def _header(path: Path) -> tuple[Tensor, ...]:
    try:
        return safetensors.read(path)
    except (OSError, ModelError) as error:
        raise ModelError(t("model.bad_weights", path=path), t("model.copy_again"), SAID) from error


def _whole(config: Any, name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) else None


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    path = folder / "tokenizer_config.json"
    return path.is_file() and "chat_template" in json_file.read(path)


def _nearby(folder: Path) -> str:
    """The nearest existing folder, so that a person sees where the path goes wrong."""
    for parent in folder.parents:
        if parent.is_dir():
            return t("model.missing_hint", path=parent)
    return t("model.empty_path_hint")
