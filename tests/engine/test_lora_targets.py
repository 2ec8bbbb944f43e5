"""LoRA sits beside every linear layer that a forward pass calls for one tensor."""

from __future__ import annotations

import families
import pytest

BY_NAME = {family.name: family for family in (*families.FAMILIES, *families.HARD)}


def layers(name: str) -> tuple[set[str], set[str]]:
    """Names of linear layers, without their place: (with an adapter, without)."""
    import torch
    from peft.tuners.lora import LoraLayer

    model = families.adapted(BY_NAME[name]).get_base_model()
    adapted = {path for path, module in model.named_modules() if isinstance(module, LoraLayer)}
    linear = {path for path, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    inside = {path for path in linear if any(path.startswith(f"{layer}.") for layer in adapted)}
    return {path.rpartition(".")[2] for path in adapted}, {path.rpartition(".")[2] for path in linear - inside}


@pytest.mark.parametrize("name", ["llama", "phi", "gpt_neox"])
def test_every_linear_layer_but_the_head(name: str) -> None:
    adapted, bare = layers(name)
    assert adapted and len(bare) == 1 and bare <= {"lm_head", "embed_out"}


@pytest.mark.parametrize("name", ["phimoe", "llama4"])
def test_no_router(name: str) -> None:
    adapted, bare = layers(name)
    assert "router" not in adapted and "router" in bare


def test_nothing_that_a_model_sees_with() -> None:
    """A text never passes it; one named as the language model's layers are is left out as well."""
    from peft.tuners.lora import LoraLayer

    model = families.adapted(BY_NAME["gemma3_with_eyes"]).get_base_model()
    paths = [path for path, module in model.named_modules() if isinstance(module, LoraLayer)]
    assert {"q_proj", "down_proj"} <= {path.rpartition(".")[2] for path in paths}
    assert all(path.startswith("model.language_model.") for path in paths)
    assert any(path.endswith("vision_tower.encoder.layers.0.self_attn.q_proj") for path, _ in model.named_modules())


@pytest.mark.parametrize(
    ("name", "passed_by"), [("mamba", {"out_proj", "x_proj", "dt_proj"}), ("falcon_h1", {"out_proj"})]
)
def test_no_layer_whose_weights_a_kernel_reads_itself(name: str, passed_by: set[str]) -> None:
    adapted, bare = layers(name)
    assert "in_proj" in adapted and bare == passed_by | {"lm_head"}
