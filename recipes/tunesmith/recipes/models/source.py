"""What `model.source` may say: the starter, a folder, a GGUF file, a name of the catalogue, or an id at a hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tunesmith.recipes.errors import RecipeError, nearest
from tunesmith.recipes.possible_path import possible
from tunesmith.recipes.spec import STARTER

HUBS = ("modelscope", "huggingface")  # in the order in which they are asked
LOCAL = "local"  # what was imported from a folder or a GGUF file, by the name it was given
VARIABLE = "TUNESMITH_HUB"
FORMS = (
    "Give 'starter', a folder, a .gguf file, a name of the catalogue, or owner/name with hub: before, @revision after."
)

NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_-])?")
REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]{0,198}[A-Za-z0-9_-])?")


class Starter(msgspec.Struct, frozen=True):
    def __str__(self) -> str:
        return STARTER


class Folder(msgspec.Struct, frozen=True):
    """With config.json, safetensors and tokenizer."""

    path: str

    def __str__(self) -> str:
        return self.path


class GgufFile(msgspec.Struct, frozen=True):
    path: str

    def __str__(self) -> str:
        return self.path


class Named(msgspec.Struct, frozen=True):
    """A key of the catalogue; a `revision` of "" is the hub's main branch."""

    key: str
    revision: str = ""

    def __str__(self) -> str:
        return at(self.key, self.revision)


class Repository(msgspec.Struct, frozen=True):
    """`id` is owner/name at `hub`, at either where that is ""; at `local` it is the name of an import."""

    hub: str
    id: str
    revision: str = ""

    def __str__(self) -> str:
        return (f"{self.hub}:" if self.hub else "") + at(self.id, self.revision)


Source = Starter | Folder | GgufFile | Named | Repository


def at(id: str, revision: str) -> str:
    return f"{id}@{revision}" if revision else id


def parse(text: str) -> Source:
    """What `text` means; whether it is there is not asked. Raises RecipeError for an id that cannot be one."""
    if text == STARTER:
        return Starter()
    hub, colon, rest = text.partition(":")
    if colon and hub in (*HUBS, LOCAL):
        return of_a_hub(hub, rest, text)
    path = GgufFile(text) if text.lower().endswith(".gguf") else Folder(text)
    if isinstance(path, GgufFile) or text.startswith(("/", "~", ".")):
        return path
    id, _, revision = text.partition("@")
    if is_id(id) and ("@" not in text or is_revision(revision)):
        return Repository("", id, revision)
    if "/" not in id and known(id) and ("@" not in text or is_revision(revision)):
        return Named(id, revision)
    return path


def of_a_hub(hub: str, rest: str, text: str) -> Repository:
    """Raises RecipeError."""
    id, marked, revision = rest.partition("@")
    right = is_name(id) if hub == LOCAL else is_id(id)
    if not right or (marked and not is_revision(revision)):
        form = (
            f"{hub}:NAME" if hub == LOCAL else f"{hub}:owner/name, with @revision after it for another than the newest"
        )
        raise RecipeError(
            f"'{text[:200]}' is no model: {hub}: is not followed by one", f"Write {form}.", "model_source"
        )
    return Repository(hub, id, revision)


def is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None and ".." not in text


def is_id(text: str) -> bool:
    owner, slash, name = text.partition("/")
    return bool(slash) and is_name(owner) and is_name(name)


def is_revision(text: str) -> bool:
    return REVISION.fullmatch(text) is not None and ".." not in text and "//" not in text


def known(name: str) -> bool:
    from tunesmith.recipes.models import catalogue

    return name.strip().lower() in catalogue.named()


def located(text: str, folder: Path) -> str:
    """`text` as a recipe in `folder` means it: a path becomes absolute, all else stays as it is written.

    A folder that is there goes before an id that is written the same. Raises RecipeError for what no disk can hold.
    """
    if text == STARTER:
        return text
    if not possible(text):
        raise RecipeError(f"No file can be called {text[:40]!r}...", "Give a shorter one.", "model_source")
    path = folder / Path(text).expanduser()
    if isinstance(parse(text), Folder | GgufFile):
        return str(path.resolve())
    explicit = text.partition(":")[0] in (*HUBS, LOCAL) and ":" in text
    return str(path.resolve()) if not explicit and path.is_dir() else text


def preferred(environment: Mapping[str, str]) -> str:
    """The hub that is asked first. Raises RecipeError for a name that is none."""
    chosen = environment.get(VARIABLE, "").strip().lower() or HUBS[0]
    return checked_hub(chosen, VARIABLE)


def checked_hub(hub: str, where: str) -> str:
    """Raises RecipeError."""
    if hub not in HUBS:
        raise RecipeError(f"{where} is '{hub}', which is no hub", nearest(hub, HUBS), "unknown_hub")
    return hub


def candidates(source: Named | Repository, first: str) -> tuple[tuple[str, str], ...]:
    """Hubs with the model's id there, in the order in which they are asked; `first` goes first where it knows it."""
    from tunesmith.recipes.models import catalogue

    if isinstance(source, Repository) and source.hub:
        return ((source.hub, source.id),)
    name = source.key if isinstance(source, Named) else source.id
    entry = catalogue.named().get(name.lower())
    ids = dict(entry.ids) if entry else dict.fromkeys(HUBS, name)
    return tuple((hub, ids[hub]) for hub in sorted(ids, key=lambda hub: (hub != first, HUBS.index(hub))))


def title(text: str) -> str:
    """What a person calls the model: its id without hub and revision, else as it is written."""
    try:
        found = parse(text)
    except RecipeError:
        return text
    match found:
        case Repository():
            return found.id
        case Named():
            from tunesmith.recipes.models import catalogue

            return catalogue.find(found.key).huggingface
    return text
