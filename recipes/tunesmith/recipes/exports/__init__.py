"""Exports: what is written for others to load. One file a card; a target is `key` or `key:variant`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.errors import RecipeError, nearest
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
    def quantize(self, number: int, matrix: bool, staged: Path) -> None:
        """The merged model as llama.cpp's type `number`, with an importance matrix of the run's rows if wanted."""

    def compress(self, kind: str, staged: Path) -> None:
        """The merged model as the folder `staged`, its linear layers as bitsandbytes' `kind`."""


def try_again(variant: str) -> str:
    return say("try_again", "Run the job again; if it stays so, export a larger type such as gguf:f16.")


class Export(msgspec.Struct, frozen=True):
    """`write(context, variant, staged)` writes the file or folder `staged`, in a worker; publishing is the worker's.

    `size(context, variant)` says beforehand about how many bytes that will be.
    `kl_limits` gives, by variant, the largest KL divergence from the merged model that verification accepts (nats a
    token); an export without limits is not run by a runtime of its own. `of_adapter`: there must be an adapter.
    `beside_base`: it is run beside a GGUF of the base. `converts`: llama.cpp's converter must know the model.
    `instead` says what to try where a variant does not say what the merged model says.
    `offered` are the variants that the wizard shows, all of them where it is empty. `runtime` loads it to be verified,
    with `package` if that is not always imported.
    """

    key: str
    title: str
    blurb: str
    variants: tuple[str, ...]
    file_name: Callable[[str], str]
    write: Callable[[Any, str, Path], None]
    size: Callable[[Any, str], int]
    kl_limits: Mapping[str, float] = {}
    instead: Callable[[str], str] = try_again
    of_adapter: bool = False
    beside_base: bool = False
    converts: bool = False
    offered: tuple[str, ...] = ()
    runtime: str = LLAMA
    package: str = ""


@cache
def cards() -> Mapping[str, Export]:
    return catalog.load(__name__, Export)


def find(target: str) -> tuple[Export, str]:
    """The card and variant of a target such as `gguf:q8_0`. Raises RecipeError."""
    key, _, variant = target.partition(":")
    known = [f"{c.key}:{v}" if v else c.key for c in cards().values() for v in c.variants]
    if target not in known:
        needs = known_with_matrix(target)
        if needs:
            raise RecipeError(f"{needs} needs an importance matrix", f"Give '{needs}': it is made of the run's rows.")
        raise RecipeError(f"exports has no target '{target}'", nearest(target, known))
    return cards()[key], variant


def known_with_matrix(target: str) -> str:
    """The target without the mark that leaves the matrix out, where only that one is known; else nothing."""
    from tunesmith.recipes import gguf_types

    key, _, variant = target.partition(":")
    name = variant.removesuffix(gguf_types.WITHOUT)
    needed = key == "gguf" and name != variant and name in gguf_types.TYPES and gguf_types.TYPES[name].needs_matrix
    return f"{key}:{name}" if needed else ""


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def weight_counts(folder: Path) -> int:
    """How many weights the safetensors of `folder` hold, read from their headers alone."""
    from tunesmith.recipes.models import safetensors

    return sum(tensor.numbers for path in folder.glob("*.safetensors") for tensor in safetensors.read(path))
