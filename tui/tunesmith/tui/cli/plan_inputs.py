"""What `tunesmith plan` is asked about: the model, the rows, the machine and the recipe, from its options."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tunesmith.recipes.data.checking.sampled import Sampled
from tunesmith.recipes.errors import ModelError, RecipeError
from tunesmith.recipes.planner.rows import ASSUMED, Rows
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.cli import overrides
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.machine import Machine
    from tunesmith.recipes.models.facts import ModelFacts
    from tunesmith.recipes.planner.place import Place
    from tunesmith.recipes.spec import JobSpec

STARTER = "starter"
STARTER_NAME = "smollm2-135m-instruct"  # what it is in the catalogue


class Model(msgspec.Struct, frozen=True):
    """`title` for people; `folder` where its files are, None where they are not here; `source` what a recipe says of
    it, None for a config.json, which cannot be trained.
    """

    title: str
    facts: ModelFacts
    folder: Path | None
    source: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """`explicit` are the keys of `spec` that a person set; `sampled` is None where the rows are assumed."""

    model: Model
    spec: JobSpec
    explicit: tuple[str, ...]
    rows: Rows
    sampled: Sampled | None
    place: Place
    simulated: bool
    notes: tuple[str, ...] = ()


def model_of(name: str, home: Home) -> Model:
    """Of all that a recipe may name, and of a config.json. A model that nothing here knows is asked of its hub.

    Raises ModelError, RecipeError, and what the hub's refusal is.
    """
    from tunesmith.daemon.api import model_facts
    from tunesmith.recipes import models
    from tunesmith.recipes.models import catalogue, source

    if name == STARTER:
        folder = home.models / STARTER
        found = folder if (folder / "config.json").is_file() else None
        facts = models.read(folder) if found else catalogue.find(STARTER_NAME).facts
        return Model(f"{STARTER} ({catalogue.find(STARTER_NAME).huggingface})", facts, found, STARTER)
    path = Path(name).expanduser()
    if path.is_dir():
        return Model(str(path), models.read(path), path, str(path.resolve()))
    if path.is_file():
        packed = str(path.resolve()) if path.suffix == ".gguf" else None
        return Model(str(path), facts_of_file(path), None, packed)
    if path.suffix in (".gguf", ".json"):
        raise ModelError(f"There is no file {path}", "Check the path.", "unknown_model")
    asked = source.parse(name)
    if not isinstance(asked, source.Named | source.Repository):
        catalogue.find(name)  # says which name is near
        raise ModelError(f"There is no model folder {path}", source.FORMS, "unknown_model")
    first = source.preferred(os.environ)
    here = model_facts.lies_here(home, asked, first)
    known = model_facts.of_a_hub(home, asked, first) or described(home, name)
    return Model(source.title(name), known, here, name)


def described(home: Home, name: str) -> ModelFacts:
    """From the hub's config.json and the headers of its weights. Raises TunesmithError: `offline` where it cannot."""
    from tunesmith.daemon.api import model_facts, models
    from tunesmith.tui.cli import download_progress

    said = download_progress.run(models.describe(home, name), models.Described, name)
    found = model_facts.described_facts(said)
    if said.unusable is not None:
        raise ModelError(said.unusable.message, said.unusable.hint, said.unusable.code)
    if found is None:
        withheld = said.withheld
        raise ModelError(
            withheld.message if withheld else f"{name} has no config.json",
            withheld.hint if withheld else "Take the repository of the whole model.",
            withheld.code if withheld else "model_files",
        )
    return found


def facts_of_file(path: Path) -> ModelFacts:
    """Of a config.json or a GGUF file. Raises ModelError."""
    from tunesmith.recipes.models import from_config, gguf_config

    if path.suffix == ".gguf":
        return from_config(gguf_config.config(path), str(path))
    try:
        said = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} cannot be read as a config.json: {error}", "Give a config.json, a GGUF file or a folder."
        ) from error
    if not isinstance(said, dict):
        raise ModelError(f"{path} is no config.json: it is no object", "Give a config.json, a GGUF file or a folder.")
    return from_config(said, str(path))


def place_of(home: Home, simulate: str | None, device: str) -> tuple[Place, tuple[str, ...]]:
    """This machine as it is now, with what was measured of it, or the one simulated; and what to know about it.

    Raises MachineError.
    """
    from tunesmith.daemon.api import measuring
    from tunesmith.recipes import machine
    from tunesmith.recipes.machine import known
    from tunesmith.recipes.planner import place
    from tunesmith.recipes.planner.simulated import simulated, with_rates

    if simulate is not None:
        there = simulated(simulate, device)
        return there, notes(known.load(simulate), there, key=simulate.strip().lower() in known.all_known())
    here = machine.detect(home.root)
    found = measuring.merged(home, here)
    chosen = with_rates(place.place_of(found, measuring.kept(home, here), device))
    return chosen, notes(found, chosen)


def notes(machine: Machine, place: Place, *, key: bool = False) -> tuple[str, ...]:
    """What limits training there with the way out, devices that stay idle, and how much of it others use.

    `key`: it is only known by its key, so that what others use of it is an assumption.
    """
    said = [f"{warning.text}. {warning.fix}" for warning in machine.warnings]
    others = [device for device in machine.devices if device.kind != "cpu" and device.kind != place.device]
    if others and place.device == "cpu":
        names = ", ".join(dict.fromkeys(device.name for device in others))
        said.append(t("plan.not_trained_on", devices=names))
    alike = [device for device in machine.devices if device.kind == place.device and device.usable]
    if place.device != "cpu" and len(alike) > 1:
        said.append(t("plan.one_of_several", devices=len(alike)))
    if place.used_by_others and not key:
        said.append(t("plan.used_by_others", bytes=bytes_text(place.used_by_others)))
    return tuple(said)


def spec_of(
    model: Model, name: str, data: list[str], method: str | None, settings: list[str], device: str | None
) -> tuple[JobSpec, tuple[str, ...]]:
    """The recipe so far and the keys that a person set. Raises RecipeError."""
    from tunesmith.recipes.spec import parse

    raw: dict[str, Any] = {"model": {"source": model.source or STARTER}}
    explicit = []
    if data:
        sources = [str(Path(path).expanduser().resolve()) for path in data]
        raw["data"] = {"train": sources[0] if len(sources) == 1 else sources}
    elif name == STARTER:
        raw["data"] = {"train": STARTER, "held_out": STARTER}
    if method is not None:
        settings = [f"method.kind={method}", *settings]
    if device is not None and device != "auto":
        settings = [f"training.device={device}", *settings]
    for setting in settings:
        overrides.put(raw, setting)
        explicit.append(overrides.full_key(setting.partition("=")[0].strip()))
    return parse(msgspec.yaml.encode(raw).decode("utf-8"), Path.cwd()), tuple(explicit)


def rows_of(spec: JobSpec, data: list[str], model: Model, name: str, home: Home) -> tuple[Rows, Sampled | None]:
    """From the data, counted where the model's tokenizer is at hand; assumed without data. Raises DataError."""
    from tunesmith.recipes import starter

    held_out = 0
    if not data:
        if name != STARTER or spec.data.train != STARTER:
            return ASSUMED, None
        data, held_out = [str(starter.path("train"))], 28
    tokenizer = str(model.folder) if model.folder and (model.folder / "tokenizer.json").is_file() else None
    found = remembered(home, data, tokenizer, spec)
    rows = Rows.of(found.tokens, found.rows, held_out_fraction=spec.data.held_out_fraction, held_out=held_out)
    looked_at = max(1, found.looked_at)
    return msgspec.structs.replace(rows, answer=found.tokens.trained / looked_at), found


def remembered(home: Home, data: list[str], tokenizer: str | None, spec: JobSpec) -> Sampled:
    """Lengths that were found before, while no file changed its size or time; else found now and kept."""
    from tunesmith.recipes.data.checking import sampled
    from tunesmith.recipes.data.files import sources

    marks = []
    for file in sources.find(data):
        state = os.stat(file.path)
        marks.append((os.path.realpath(file.path), state.st_size, state.st_mtime_ns))
    # The first: raised when lengths are found otherwise, so that older ones are not taken for these.
    basis = msgspec.json.encode((1, marks, tokenizer, spec.data.trained, spec.data.shape))
    kept = home.prepared.parent / "lengths" / f"{hashlib.sha256(basis).hexdigest()[:32]}.json"
    try:
        return msgspec.json.decode(kept.read_bytes(), type=Sampled)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # not yet, or damaged: it can be found again
        found = sampled.lengths(data, tokenizer, spec.data.trained, spec.data.shape)
    keep(kept, found)
    return found


def keep(path: Path, found: Sampled) -> None:
    """Whole or not at all; a home that cannot be written costs time the next time, nothing else."""
    part = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.encode(found))
        os.replace(part, path)
    except OSError:
        return


def refuse_unwritable(model: Model, name: str, data: list[str]) -> None:
    """Raises RecipeError where a written recipe could not run."""
    if model.source is None:
        raise RecipeError(
            f"A recipe needs a whole model; {model.title} is not one",
            "Give its folder, or its id at a hub: tunesmith plan --model owner/name --write FILE.",
            "no_folder",
        )
    if not data and name != STARTER:
        raise RecipeError("A recipe names its data, and none was given", "Add --data FILE.", "no_data")
