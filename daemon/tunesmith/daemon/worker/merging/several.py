"""Several adapters in one base: what each makes of a tensor alone, less what it was, times its weight, is added up.

For LoRA that is the weighted sum of the products of its matrices, what peft calls `cat`; not peft's `linear`, which
weighs the matrices themselves and so multiplies one adapter's with another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tunesmith.daemon.worker.merging.layers import Layers, Merging, Part, layers
from tunesmith.recipes.models.safetensors import Placed


class Share(NamedTuple):
    """Of one adapter in one tensor."""

    weight: float
    layers: Layers
    part: Part


class Shares(NamedTuple):
    place: str  # the tensor's name in the base's files
    shares: Sequence[Share]


class Several:
    """As `Layers`, of more than one adapter."""

    def __init__(self, found: Sequence[tuple[float, Layers]]) -> None:
        places = dict.fromkeys(place for _, one in found for place in one.parts)
        self.parts: Mapping[str, Part] = {
            place: together(
                place, [Share(weight, one, one.parts[place]) for weight, one in found if place in one.parts]
            )
            for place in places
        }

    def needs(self, part: Part) -> Mapping[str, str]:
        found = {part.name: part.layer.place}
        for share in part.layer.shares:
            found |= share.layers.needs(share.part)
        return found

    def merged(self, part: Part, tensors: Mapping[str, Any]) -> Any:
        before = tensors[part.name]
        total = before.clone()
        for weight, one, its in part.layer.shares:
            alone = one.merged(its, {name: tensors[name].clone() for name in one.needs(its)})
            total += weight * (alone - before)
        return total


def together(place: str, shares: Sequence[Share]) -> Part:
    factors = [one._replace(scaling=one.scaling * share.weight) for share in shares for one in share.part.factors]
    plain = all(share.part.factors for share in shares)
    return Part(Shares(place, shares), shares[0].part.name, factors if plain else ())


def several(base: Path, adapters: Sequence[tuple[Path, float]], files: Iterable[Sequence[Placed]]) -> Merging:
    """Of adapters with their weights. Raises Whole, and ModelError for one that does not fit the base."""
    placed = list(files)
    found = [(weight, layers(base, adapter, placed)) for adapter, weight in adapters]
    if len(found) == 1 and found[0][0] == 1.0:
        return found[0][1]
    return Several(found)
