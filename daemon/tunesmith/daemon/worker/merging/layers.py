"""What an adapter makes of each tensor of its base: peft's own layers around a base that is shapes without weights."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tunesmith.daemon.worker.load import short
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import safetensors
from tunesmith.recipes.models.safetensors import Placed
from tunesmith.recipes.words import Words, say

WEIGHTS = "adapter_model.safetensors"
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
    """Of a plain LoRA layer: `scaling * up @ down` comes to the weight."""

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
    named = names(model, placed)
    hollow(model)
    shared = shared_parameters(model)
    # The adapter's own weights are assigned as they lie in its file, mapped and not copied.
    adapted = fitted(model, adapter, low_cpu_mem_usage=True, torch_device="cpu")
    parts: dict[str, Part] = {}
    places: dict[int, dict[str, str]] = {}
    below = list(changed(adapted.base_model.model))
    if missing := [name for name, value in adapted.named_parameters() if value.is_meta]:
        raise ModelError(f"{adapter} lacks {missing[0]}", "Run the training again.", "model_files")
    for name, part in below:
        place = named.get(name)
        if place is None or name in shared:
            raise Whole(say("whole_no_tensor", "the base's files hold no tensor that is {name} alone", name=name))
        tensor = placed[place]
        if tensor.dtype not in DTYPES:
            raise Whole(say("whole_stored", "{name} is stored as {dtype}", name=place, dtype=tensor.dtype))
        places.setdefault(id(part.layer), {})[part.name] = place
        parts[place] = part
    return Layers({place: part for place, part in parts.items() if alters(part, config)}, places)


def config_of(adapter: Path) -> Any:
    """peft's configuration of the adapter in a folder. Raises ModelError where there is none, or none that merges."""
    from peft import PeftConfig

    hint = "Give a folder with adapter_config.json and adapter_model.safetensors, as peft saves them."
    if not (adapter / WEIGHTS).is_file():
        raise ModelError(f"{adapter} has no {WEIGHTS}", hint, "no_adapter")
    try:
        config: Any = PeftConfig.from_pretrained(str(adapter))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ModelError(f"The adapter in {adapter} cannot be read: {short(error)}", hint, "no_adapter") from error
    if config.is_prompt_learning or getattr(config, "megatron_config", None):
        kind = getattr(config.peft_type, "value", config.peft_type)
        raise ModelError(
            f"The adapter in {adapter} ({kind}) cannot be merged: it is no change of the base's weights",
            "Leave it out; LoRA and its kin, IA3, OFT and HRA can be merged.",
            "cannot_merge",
        )
    return config


def fitted(model: Any, adapter: Path, **how: Any) -> Any:
    """`model` with the adapter on it. Raises ModelError where it was made for another base."""
    from peft import PeftModel, get_peft_model_state_dict

    def unfit(why: str) -> ModelError:
        text = f"The adapter in {adapter} does not fit the base: {why}"
        return ModelError(text, "Give an adapter that was trained on this base.", "other_base")

    try:
        adapted = PeftModel.from_pretrained(model, str(adapter), **how)
    except (RuntimeError, ValueError, KeyError) as error:
        raise unfit(short(error)) from error
    taken = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    prefix = adapted.base_model.prefix
    # peft only leaves out what it finds no place for.
    for tensor in safetensors.read(adapter / WEIGHTS):
        if prefix in tensor.name and tensor.name not in taken:
            raise unfit(f"the base has no place for {tensor.name}")
    return adapted


def skeleton(base: Path) -> Any:
    """The base's model, without its weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(base), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)


def hollow(model: Any) -> None:
    """Each parameter becomes one number that stands for all: of the same shape, on the processor, without memory."""
    import torch

    made: dict[Any, Any] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if parameter not in made:
                values = torch.zeros((), dtype=torch.float32).expand(parameter.shape)
                made[parameter] = torch.nn.Parameter(values, requires_grad=False)
            module._parameters[name] = made[parameter]


def shared_parameters(model: Any) -> set[str]:
    """Names of parameters that have another name too: tied embeddings."""
    by_parameter: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        by_parameter.setdefault(id(parameter), []).append(name)
    return {name for together in by_parameter.values() if len(together) > 1 for name in together}


def names(model: Any, placed: Mapping[str, Placed]) -> dict[str, str]:
    """The tensor in the files of each parameter that is read from one as it is, by transformers' own rules."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    rules = get_model_conversion_mapping(model)
    renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
    converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
    shapes = model.state_dict()
    found = {}
    for place, tensor in placed.items():
        name, converted = rename_source_key(place, renamings, converters, model.base_model_prefix, shapes)
        if name not in shapes and place in shapes:
            name, converted = place, None
        if converted is None and name in shapes and tuple(shapes[name].shape) == tensor.shape:
            found[name] = place
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
            if isinstance(module, ParamWrapper):  # fused experts, whose files hold each by itself
                raise Whole(say("whole_several", "{name} has an adapter on several matrices at once", name=path))
        else:
            continue
        inside = (*inside, f"{path}.")
        for name, value in kept.named_parameters():
            if layer is None:
                yield f"{path}.{name}", Part(kept, name, trained=value.detach())
            else:
                yield f"{path}.{name}", Part(layer, name, factors(layer) if name == "weight" else ())


def alters(part: Part, config: Any) -> bool:
    """A bias beside a LoRA layer stays as it is, unless the adapter has one."""
    from peft.tuners.lora import LoraLayer

    return part.name == "weight" or not isinstance(part.layer, LoraLayer) or bool(config.lora_bias)


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
