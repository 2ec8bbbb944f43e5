"""What an adapter makes of each tensor of its base: peft's own layers around a base that is shapes without weights."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tunesmith.daemon.worker.merging.fitting import config_of, fitted, hollow, shared_parameters, skeleton
from tunesmith.daemon.worker.merging.places import Slice, places
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models.safetensors import Placed
from tunesmith.recipes.words import Words, say

# Tuners whose layers need nothing of the base until they are merged, and which tests hold to peft's own merge.
STREAMED = frozenset({"LORA", "IA3", "LOHA", "LOKR", "OFT", "BOFT", "HRA"})
PLAIN_STARTS = (True, False, "gaussian")  # init_lora_weights: others (PiSSA, OLoRA) change the base's weights too
DTYPES = ("F16", "BF16", "F32", "F64")


class Whole(Exception):
    """Why this adapter can be merged in memory only."""

    def __init__(self, why: Words) -> None:
        super().__init__(why)
        self.why = why


class Factors(NamedTuple):
    """Of a plain LoRA layer: `scaling * up @ down` comes to the weight; of all experts at once where they are one."""

    up: Any
    down: Any
    scaling: float


class Part(NamedTuple):
    """A parameter that changes: `name` below the adapter's `layer`. Row by row where there are `factors`, and replaced
    where it was `trained` itself.
    """

    layer: Any
    name: str
    factors: Sequence[Factors] = ()
    trained: Any = None


class Merging(Protocol):
    """What `stream` writes: `parts` by the names that the base's files give their tensors, each row by row where it has
    factors, else `merged` of the tensors that it `needs` (names in files by names in its module).
    """

    @property
    def parts(self) -> Mapping[str, Part]: ...
    def needs(self, part: Part) -> Mapping[str, str]: ...
    def merged(self, part: Part, tensors: Mapping[str, Any]) -> Any: ...


class Layers:
    """`parts` by the names that the base's files give their tensors."""

    def __init__(self, parts: Mapping[str, Part], places: Mapping[int, Mapping[str, str]]) -> None:
        self.parts = parts
        self._places = places  # by the layer's id
        self._one = threading.Lock()  # a layer holds the tensors of its base while it merges

    def needs(self, part: Part) -> Mapping[str, str]:
        """The names in files of the tensors that it is made of, by their names in the module."""
        return {} if part.trained is not None else self._places[id(part.layer)]

    def merged(self, part: Part, tensors: Mapping[str, Any]) -> Any:
        """The new value of `part`, of the tensors that it `needs`, as wide as they are."""
        if part.trained is not None:
            return part.trained
        if part.factors:
            return sum((one.up @ one.down * one.scaling for one in part.factors), tensors[part.name])
        layer = part.layer
        base = layer.get_base_layer()
        with self._one:
            hollow = dict(base.named_parameters())
            try:
                put(base, tensors)
                layer.merge()
                return base.get_parameter(part.name).data
            finally:
                put(base, hollow)
                layer.merged_adapters.clear()


def put(module: Any, tensors: Mapping[str, Any]) -> None:
    import torch

    for name, value in tensors.items():
        owner = module.get_submodule(name.rpartition(".")[0])
        owner._parameters[name.rpartition(".")[2]] = torch.nn.Parameter(value, requires_grad=False)


def layers(base: Path, adapter: Path, files: Iterable[Sequence[Placed]]) -> Layers:
    """Of the adapter in the folder `adapter`; `files` are the tensors of the base's. Raises Whole."""
    config = config_of(adapter)
    kind = getattr(config.peft_type, "value", str(config.peft_type))
    if kind not in STREAMED or getattr(config, "init_lora_weights", True) not in PLAIN_STARTS:
        raise Whole(say("whole_tuner", "its tuner ({kind}) needs the base's weights", kind=kind))
    model = skeleton(base)
    placed = {tensor.name: tensor for file in files for tensor in file}
    named = places(model, placed)
    hollow(model)
    shared = shared_parameters(model)
    # The adapter's own weights are assigned as they lie in its file, mapped and not copied.
    adapted = fitted(model, adapter, low_cpu_mem_usage=True, torch_device="cpu")
    parts: dict[str, Part] = {}
    of_layer: dict[int, dict[str, str]] = {}
    below = list(changed(adapted.base_model.model))
    if missing := [name for name, value in adapted.named_parameters() if value.is_meta]:
        raise ModelError(f"{adapter} lacks {missing[0]}", "Run the training again.", "model_files")
    for name, part in below:
        whole = named.whole.get(name)
        found = {whole: part} if whole else sliced(part, named.slices.get(name, ()), placed)
        if not found or name in shared:
            raise Whole(say("whole_no_tensor", "the base's files hold no tensor that is {name} alone", name=name))
        for place in found:
            if (dtype := placed[place].dtype) not in DTYPES:
                raise Whole(say("whole_stored", "{name} is stored as {dtype}", name=place, dtype=dtype))
        if whole:
            of_layer.setdefault(id(part.layer), {})[part.name] = whole
        parts |= found
    return Layers({place: part for place, part in parts.items() if alters(part, config)}, of_layer)


def sliced(part: Part, slices: Sequence[Slice], placed: Mapping[str, Placed]) -> dict[str, Part]:
    """The part of each expert's tensor in a parameter that holds all experts; none where it has no factors."""
    found = {}
    for place, expert, first in slices if part.factors else ():
        last = first + placed[place].shape[0]
        its = [Factors(one.up[expert, first:last], one.down[expert], one.scaling) for one in part.factors]
        found[place] = Part(part.layer, part.name, its)
    return found


def changed(model: Any) -> Iterable[tuple[str, Part]]:
    """Each parameter below one of the adapter's layers, with its name in the base. Raises Whole."""
    from peft.tuners.lora.layer import ParamWrapper
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper, ModulesToSaveWrapper

    inside: tuple[str, ...] = ()
    for path, module in model.named_modules():
        if path.startswith(inside):
            continue
        if isinstance(module, ModulesToSaveWrapper):
            kept: Any = module.modules_to_save[module.active_adapter]
            if any(isinstance(one, BaseTunerLayer) for one in kept.modules()):
                raise Whole(say("whole_trained", "{name} is trained itself and has an adapter too", name=path))
            layer: Any = None
        elif isinstance(module, AuxiliaryTrainingWrapper):
            layer = module.token_adapter
            kept = layer.get_base_layer()
        elif isinstance(module, BaseTunerLayer):
            layer, kept = module, module.get_base_layer()
            if isinstance(module, ParamWrapper):
                yield from experts(path, module)
                inside = (*inside, f"{path}.")
                continue
        else:
            continue
        inside = (*inside, f"{path}.")
        for name, value in kept.named_parameters():
            if layer is None:
                yield f"{path}.{name}", Part(kept, name, trained=value.detach())
            else:
                yield f"{path}.{name}", Part(layer, name, factors(layer) if name == "weight" else ())


def experts(path: str, wrapper: Any) -> Iterable[tuple[str, Part]]:
    """Parameters that are adapted by themselves, of all experts or of what chooses among them, each with a wrapper
    around that of the one before. Raises Whole.
    """
    from peft.tuners.lora.layer import ParamWrapper

    while isinstance(wrapper, ParamWrapper):
        name = wrapper.parameter_name
        active = [one for one in wrapper.active_adapters if one in wrapper.lora_A]
        if wrapper.get_param().dim() == 2:
            up, down = wrapper.lora_B, wrapper.lora_A
            its = [Factors(up[one].weight.detach(), down[one].weight.detach(), wrapper.scaling[one]) for one in active]
        elif wrapper.num_experts > 1:
            factors = (wrapper.get_delta_factors(one) for one in active)
            its = [Factors(up.detach(), down.detach(), scaling) for up, down, scaling in factors]
        else:
            raise Whole(say("whole_several", "{name} has an adapter on several matrices at once", name=path))
        yield f"{path}.{name}", Part(wrapper, name, its)
        wrapper = wrapper.base_layer


def alters(part: Part, config: Any) -> bool:
    """A bias beside a LoRA layer stays as it is, unless the adapter has one."""
    from peft.tuners.lora import LoraLayer

    return (
        bool(part.factors) or part.name == "weight" or not isinstance(part.layer, LoraLayer) or bool(config.lora_bias)
    )


def factors(layer: Any) -> Sequence[Factors]:
    """Those of a plain LoRA layer; none of any other, which is merged by peft's own function."""
    import torch
    from peft.tuners.lora import Linear

    if type(layer) is not Linear or layer.fan_in_fan_out or layer.lora_variant:
        return ()
    if not isinstance(layer.get_base_layer(), torch.nn.Linear):
        return ()
    return [
        Factors(layer.lora_B[name].weight.detach(), layer.lora_A[name].weight.detach(), layer.scaling[name])
        for name in layer.active_adapters
        if name in layer.lora_A
    ]
