"""Exports: what is written for others to load. One file a card; a target is `key` or `key:variant`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.errors import RecipeError, nearest
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.words import say

LLAMA, TRANSFORMERS = "llama.cpp", "transformers"


class ExportContext(Protocol):
    """What a worker lends an export; every path is a folder or file of this attempt."""

    @property
    def adapter(self) -> Path: ...
    @property
    def merged(self) -> Path: ...
    @property
    def base(self) -> Path: ...
    @property
    def vendor(self) -> Path: ...
    def run(self, command: list[str]) -> None: ...
    def convert(self, variant: str, staged: Path) -> None:
        """The merged model as one of the types that llama.cpp's converter writes."""

    def quantize(self, number: int, matrix: bool, staged: Path) -> None:
        """The merged model as llama.cpp's type `number`, with an importance matrix of the run's rows if wanted."""

    def compress(self, kind: str, staged: Path) -> None:
        """The merged model as the folder `staged`, its linear layers as bitsandbytes' `kind`."""

    def oneshot(self, method: str, scheme: Any, staged: Path) -> None:
        """The merged model as the folder `staged`, by llm-compressor's `method` in this scheme of `compressing`."""

    def native(self, method: str, scheme: Any, staged: Path) -> None:
        """The same by gptqmodel's `method`, in the layout of AutoGPTQ."""


class Planned(msgspec.Struct, frozen=True):
    """A run's model before anything is written: `stored_width` bytes a weight in the base's files, and how many weights
    are `trained`.
    """

    facts: ModelFacts
    stored_width: float
    trained: int

    @property
    def stored(self) -> int:
        """Bytes of the merged model."""
        return int(self.facts.parameters * self.stored_width)


def try_again(variant: str) -> str:
    return say("try_again", "Run the job again; if it stays so, export a larger type such as gguf:f16.")


def nothing(variant: str, model: Planned) -> int:
    return 0


def never(variant: str, parameters: int) -> bool:
    return False


def unsaid(variant: str) -> str:
    return ""


def says_nothing(path: Path) -> str:
    return ""


def suits_all(facts: ModelFacts) -> str:
    return ""


def no_refusal(variant: str) -> RecipeError | None:
    return None


class Export(msgspec.Struct, frozen=True):
    """`write(context, variant, staged)` writes the file or folder `staged`, in a worker; publishing is the worker's.

    `size(context, variant)` says then about how many bytes that will be, `planned(variant, model)` before a run.
    Making it takes `beside` bytes of disk too, shared with others that do; where a process of its own makes it, that
    holds `held` bytes, beyond what every process that loads the engine takes and the files it maps.
    `kl_limits` gives, by variant, the largest KL divergence from the merged model that verification accepts (nats a
    token); an export without limits is not run by a runtime of its own. `of_adapter`: there must be an adapter.
    `beside_base`: it is run beside a GGUF of the base. `converts`: llama.cpp's converter must know the model.
    `instead` says what to try where a variant does not say what the merged model says. `embedding_limit` is for a file
    that a model sees with: of a picture's embeddings the largest relative error that verification accepts.
    `needs_file`: one of these must lie in the base's folder.
    `offered` are the variants that the wizard shows, `listed` those of `tunesmith export RUN`, all where it is empty.
    `about` says more of a variant than `blurb`; `suits(variant, parameters)` marks what to take for a model of that
    size; `note` stands below the list. `refusal` explains a variant that is none. `how_to_load` is for the model card,
    where {file}, {variant} and {name} are filled in; `says(path)` is what the written file says of itself there.
    `modelfile`: one for Ollama lies beside it. `unsuited(facts)` says why it cannot be made of a model; `tool` is what
    makes it in an environment of its own.
    `runtime` loads it to be verified, with `package` if that is not always imported; `apart`: in the environment of
    `tool`, as it does so only with what is there.
    """

    key: str
    title: str
    blurb: str
    variants: tuple[str, ...]
    file_name: Callable[[str], str]
    write: Callable[[Any, str, Path], None]
    size: Callable[[Any, str], int]
    planned: Callable[[str, Planned], int]
    how_to_load: str
    kl_limits: Mapping[str, float] = {}
    instead: Callable[[str], str] = try_again
    of_adapter: bool = False
    beside_base: bool = False
    converts: bool = False
    embedding_limit: float = 0.0
    needs_file: tuple[str, ...] = ()
    modelfile: bool = False
    says: Callable[[Path], str] = says_nothing
    unsuited: Callable[[ModelFacts], str] = suits_all
    tool: str = ""
    beside: Callable[[str, Planned], int] = nothing
    held: Callable[[str, Planned], int] = nothing
    offered: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    about: Callable[[str], str] = unsaid
    suits: Callable[[str, int], bool] = never
    note: str = ""
    refusal: Callable[[str], RecipeError | None] = no_refusal
    runtime: str = LLAMA
    package: str = ""
    apart: bool = False

    @property
    def sees(self) -> bool:
        """Whether it is what a model sees with, and no language model."""
        return self.embedding_limit > 0


@cache
def cards() -> Mapping[str, Export]:
    return catalog.load(__name__, Export)


def find(target: str) -> tuple[Export, str]:
    """The card and variant of a target such as `gguf:q8_0`. Raises RecipeError."""
    key, _, variant = target.partition(":")
    card = cards().get(key)
    if card is not None and variant in card.variants and named(card, variant) == target:
        return card, variant
    refusal = None if card is None else card.refusal(variant)
    known = [named(other, one) for other in cards().values() for one in other.variants]
    raise refusal or RecipeError(f"exports has no target '{target}'", nearest(target, known))


def named(card: Export, variant: str) -> str:
    """The target."""
    return f"{card.key}:{variant}" if variant else card.key


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def weight_counts(folder: Path) -> int:
    """How many weights the safetensors of `folder` hold, read from their headers alone."""
    from tunesmith.recipes.models import safetensors

    return sum(tensor.numbers for path in folder.glob("*.safetensors") for tensor in safetensors.read(path))
