"""Where the parameters of a model lie in its files, by transformers' own rules: as they are, or experts one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tunesmith.recipes.models.safetensors import Placed

# What transformers does to tensors of experts: one behind the other, and then the kinds (gate and up) side by side.
STACKED = (("MergeModulelist", 0),)
SIDE_BY_SIDE = (("MergeModulelist", 0), ("Concatenate", 1))


class Slice(NamedTuple):
    """The tensor `place` is `expert`'s rows from `first` of a parameter that holds all experts."""

    place: str
    expert: int
    first: int


class Places(NamedTuple):
    """By names of parameters: `whole` ones with the tensor each is, and those of experts in `slices`."""

    whole: Mapping[str, str]
    slices: Mapping[str, tuple[Slice, ...]]


def places(model: Any, placed: Mapping[str, Placed]) -> Places:
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, dot_natural_key

    rules = get_model_conversion_mapping(model)
    converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    whole: dict[str, str] = {}
    several: dict[str, dict[str, list[str]]] = {}
    for place, name, pattern in renamed(model, placed, rules, converters):
        if pattern is not None:
            several.setdefault(name, {}).setdefault(pattern, []).append(place)
        elif shapes.get(name) == placed[place].shape:
            whole[name] = place
    slices = {}
    for name, found in several.items():
        (rule,) = (one for one in converters if next(iter(found)) in one.source_patterns)
        kinds = [sorted(found.get(pattern, ()), key=dot_natural_key) for pattern in rule.source_patterns]
        if stacks(rule) and (one := sliced(kinds, placed, shapes.get(name, ()))):
            slices[name] = one
    return Places(whole, slices)


def renamed(
    model: Any, placed: Mapping[str, Placed], rules: list[Any], converters: list[Any]
) -> Iterator[tuple[str, str, str | None]]:
    """Each tensor of the files with its parameter, and the pattern of the rule that makes it of several."""
    from transformers.core_model_loading import WeightRenaming, rename_source_key

    renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
    names = model.state_dict()
    for place in placed:
        name, pattern = rename_source_key(place, renamings, converters, model.base_model_prefix, names)
        yield (place, place, None) if name not in names and place in names else (place, name, pattern)


def stacks(rule: Any) -> bool:
    found = tuple((type(operation).__name__, getattr(operation, "dim", None)) for operation in rule.operations)
    return found == (STACKED if len(rule.source_patterns) == 1 else SIDE_BY_SIDE)


def sliced(kinds: list[list[str]], placed: Mapping[str, Placed], shape: tuple[int, ...]) -> tuple[Slice, ...]:
    """Of each kind all experts in their order; none where they are not all of the parameter."""
    found: list[Slice] = []
    if len(shape) != 3 or any(len(kind) != shape[0] for kind in kinds):
        return ()
    for expert, tensors in enumerate(zip(*kinds, strict=True)):
        first = 0
        for place in tensors:
            if len(placed[place].shape) != 2 or placed[place].shape[1] != shape[2]:
                return ()
            found.append(Slice(place, expert, first))
            first += placed[place].shape[0]
        if first != shape[1]:
            return ()
    return tuple(found)
