"""What is known of the model that a recipe names, before anything of it is fetched: for forecasts, on both sides."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.daemon.api import library_caches, model_store
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.models import Described
from tunesmith.recipes import models
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import catalogue, gguf_config, source
from tunesmith.recipes.models.facts import ModelFacts, Stored
from tunesmith.recipes.models.source import Folder, GgufFile, Named, Repository, Starter
from tunesmith.recipes.spec import STARTER

STARTER_MODEL = "smollm2-135m-instruct"  # in the catalogue: what the starter is once unpacked
UNPACKED_BYTES = 2  # a weight: float16, or bfloat16 as nearly all are published


def facts_of(home: Home, text: str, first: str) -> ModelFacts | None:
    """None where nothing is known. `to_fetch` is what has to come first. Raises ModelError, RecipeError, OSError."""
    match source.parse(text):
        case Starter():
            unpacked = home.models / STARTER
            return models.read(unpacked) if unpacked.is_dir() else catalogue.find(STARTER_MODEL).facts
        case Folder(path):
            return models.read(Path(path))
        case GgufFile(path):
            facts = models.from_config(gguf_config.config(Path(path)), path)
            return msgspec.structs.replace(facts, to_fetch=UNPACKED_BYTES * facts.parameters)
        case Named() | Repository() as asked:
            return of_a_hub(home, asked, first)


def of_a_hub(home: Home, asked: Named | Repository, first: str) -> ModelFacts | None:
    """From the cache, else what a hub was seen to say, else the catalogue."""
    if (here := lies_here(home, asked, first)) is not None:
        return models.read(here)
    candidates = source.candidates(asked, first)
    for hub, id in candidates:
        if (said := seen(home, hub, id)) is not None and (facts := described_facts(said)) is not None:
            return facts
    entry = catalogue.named().get(candidates[0][1].lower())
    return None if entry is None else msgspec.structs.replace(entry.facts, to_fetch=UNPACKED_BYTES * entry.parameters)


def lies_here(home: Home, asked: Named | Repository, first: str) -> Path | None:
    """The folder of the model, in our cache or in that of a hub's library."""
    candidates = source.candidates(asked, first)
    if (here := model_store.first(home, candidates, asked.revision)) is not None:
        return here.folder
    if asked.revision:
        return None
    return next((folder for hub, id in candidates if (folder := library_caches.whole(hub, id)) is not None), None)


def described_facts(said: Described) -> ModelFacts | None:
    """None where the hub withholds the config and the catalogue does not know the model."""
    entry = catalogue.named().get(said.id.lower())
    if said.config:
        facts = models.from_config(said.config, f"{said.hub}:{said.id}")
    elif entry is not None:
        facts = entry.facts
    else:
        return None
    weights = [file for file in said.files if file.needed and file.path.endswith(".safetensors")]
    held = sum(file.bytes for file in weights)
    stored = Stored(said.parameters, held, (), len(weights)) if weights and said.parameters else facts.stored
    return msgspec.structs.replace(facts, stored=stored, to_fetch=said.bytes)


def described_file(home: Home, hub: str, id: str) -> Path:
    folder = model_store.of(home, "described", hub, id)
    return folder.with_name(f"{folder.name}.json")


def seen(home: Home, hub: str, id: str) -> Described | None:
    """What the hub said when it was asked last."""
    try:
        return msgspec.json.decode(described_file(home, hub, id).read_bytes(), type=Described)
    except (OSError, msgspec.DecodeError):
        return None


def keep(home: Home, said: Described) -> None:
    """For forecasts of those who do not ask themselves. Raises OSError."""
    file = described_file(home, said.hub, said.id)
    file.parent.mkdir(parents=True, exist_ok=True)
    model_store.write_part(file, msgspec.json.encode(said))


def quiet(home: Home, text: str, first: str) -> ModelFacts | None:
    """As `facts_of`, None where the model cannot be read: whoever loads it says why."""
    try:
        return facts_of(home, text, first)
    except (ModelError, OSError):
        return None
