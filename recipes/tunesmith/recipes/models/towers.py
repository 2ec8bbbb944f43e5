"""What stands beside a language model to see: the vision tower and the layers that lead from it."""

from __future__ import annotations

from tunesmith.recipes.models.config import Values
from tunesmith.recipes.models.facts import TOWER
from tunesmith.recipes.models.tally import Tally

# Where configs keep other parts; one of these that is not counted below makes the count a guess.
OTHERS = ("audio_config", "speech_config", "talker_config", "vq_config")


def tower(tally: Tally, config: Values, hidden: int) -> bool:
    """Count what stands beside the language model of width `hidden`. False when something is not known here."""
    known = not any(config.has(key) for key in OTHERS)
    if not config.has("vision_config"):
        return known
    vision = config.below("vision_config")
    match str(vision.get("model_type") or ""):
        case "siglip_vision_model":
            siglip(tally, vision, hidden)
        case "qwen2_5_vl" | "qwen2_5_vl_vision":
            qwen2_5_vl(tally, vision, hidden)
        case "pixtral":
            pixtral(tally, config, vision, hidden)
        case _:
            return False
    return known


def block(tally: Tally, width: int, inner: int, layers: int, *, gated: bool, biased: bool) -> None:
    """Layers of attention with as many keys as queries, and an MLP."""
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        tally.matrix(TOWER, name, width, width, bias=biased, times=layers)
    for name in ("gate_proj", "up_proj") if gated else ("fc1",):
        tally.matrix(TOWER, name, width, inner, bias=biased, times=layers)
    tally.matrix(TOWER, "down_proj" if gated else "fc2", inner, width, bias=biased, times=layers)


def siglip(tally: Tally, vision: Values, hidden: int) -> None:
    """With the pooling projector of Gemma 3 behind it."""
    width, patch = vision.positive("hidden_size", 1152), vision.positive("patch_size", 14)
    layers = vision.positive("layers", 27)
    inner = vision.positive("intermediate_size", 4304)
    block(tally, width, inner, layers, gated=False, biased=True)
    tally.vector(4 * width, layers)
    if vision.flag("vision_use_head", True):  # a pooling layer of its own: a probe, attention, norm and MLP
        block(tally, width, inner, 1, gated=False, biased=True)
        tally.vector(3 * width)
    tally.matrix(TOWER, "patch_embedding", vision.integer("num_channels", 3) * patch * patch, width, bias=True)
    tally.vector((vision.positive("image_size", 224) // patch) ** 2 * width + 2 * width)
    tally.matrix(TOWER, "mm_input_projection", width, hidden)
    tally.vector(width)


def qwen2_5_vl(tally: Tally, vision: Values, hidden: int) -> None:
    width, patch = vision.positive("hidden_size", 3584), vision.positive("patch_size", 14)
    layers = vision.integer("depth", 32)
    block(tally, width, vision.positive("intermediate_size", 3420), layers, gated=True, biased=True)
    tally.vector(2 * width, layers)
    volume = vision.integer("in_channels", 3) * vision.integer("temporal_patch_size", 2) * patch * patch
    tally.matrix(TOWER, "proj", volume, width)
    merged = width * vision.positive("spatial_merge_size", 2) ** 2
    tally.vector(width)
    tally.matrix(TOWER, "merger", merged, merged, bias=True)
    tally.matrix(TOWER, "merger", merged, vision.positive("out_hidden_size", hidden), bias=True)


def pixtral(tally: Tally, config: Values, vision: Values, hidden: int) -> None:
    """With the patch merger of Mistral Small 3.1 behind it."""
    width, patch = vision.positive("hidden_size", 1024), vision.positive("patch_size", 16)
    layers = vision.positive("layers", 24)
    block(tally, width, vision.positive("intermediate_size", 4096), layers, gated=True, biased=False)
    tally.vector(2 * width, layers)
    tally.matrix(TOWER, "patch_conv", vision.integer("num_channels", 3) * patch * patch, width)
    tally.vector(2 * width)
    biased = config.flag("multimodal_projector_bias", False)
    tally.matrix(TOWER, "merging_layer", width * config.positive("spatial_merge_size", 2) ** 2, width)
    tally.matrix(TOWER, "linear_1", width, hidden, bias=biased)
    tally.matrix(TOWER, "linear_2", hidden, hidden, bias=biased)
