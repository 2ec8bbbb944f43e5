"""What a forecast counts of what a vision model sees with: its file, its verification, a look at a picture."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tunesmith.recipes import exports, planner, spec
from tunesmith.recipes.models import from_config
from tunesmith.recipes.planner import Place, Rows

GIB = 1 << 30
EYES = {
    "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
    "image_size": 896, "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
GEMMA3_4B = from_config({
    "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "vision_config": EYES,
    "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
                    "num_hidden_layers": 34, "sliding_window": 1024},
})  # fmt: skip
WIDTH, INNER, LAYERS, PATCH, PLACES, LANGUAGE = 1152, 4304, 27, 14, 64**2, 2560
TOWER = LAYERS * (4 * (WIDTH**2 + WIDTH) + 2 * WIDTH * INNER + INNER + WIDTH + 4 * WIDTH)
TOWER += 3 * PATCH**2 * WIDTH + WIDTH + PLACES * WIDTH + 2 * WIDTH  # patches, their places, the last norm
FILE_BYTES = 2 * (TOWER + WIDTH * LANGUAGE + WIDTH)  # with the projection and its norm, in float16
HERE = Place(
    device="cpu", name="cpu", dtype="float32", memory_bytes=64 * GIB, free_bytes=64 * GIB, host_memory_bytes=64 * GIB,
    host_free_bytes=64 * GIB, disk_free_bytes=1000 * GIB, cores=2, runtime_bytes=560 << 20,
)  # fmt: skip


def forecast(*targets: str) -> Any:
    job = spec.complete(msgspec.convert({"exports": targets}, spec.JobSpec))
    return planner.forecast(job, GEMMA3_4B, Rows(rows=100, longest=256, mean=200.0, held_out=5), HERE)


def test_the_file_is_the_arithmetic_of_tower_and_projection() -> None:
    planned = exports.cards()["gguf-mmproj"].planned("", exports.Planned(GEMMA3_4B, 2.0, 0))
    assert planned == pytest.approx(FILE_BYTES, rel=0.015)  # without biases, norms and places: 1.2 %


def test_what_is_verified_is_in_float32_and_the_language_model_is_not() -> None:
    before, with_it = forecast("merged").stage("verify"), forecast("merged", "gguf-mmproj").stage("verify")
    more = with_it.host_bytes - before.host_bytes
    assert 4 * GEMMA3_4B.tower_parameters < more < 4 * GEMMA3_4B.parameters / 2
    assert with_it.seconds > before.seconds
    whole = forecast("merged", "gguf:f16").stage("verify")
    assert forecast("merged", "gguf:f16", "gguf-mmproj").stage("verify").host_bytes == whole.host_bytes


def test_the_disk_holds_the_file_and_a_language_model_to_look_beside() -> None:
    more = forecast("merged", "gguf-mmproj").stage("export").disk_bytes - forecast("merged").stage("export").disk_bytes
    assert more == pytest.approx(FILE_BYTES + GEMMA3_4B.parameters * 2, rel=0.03)
