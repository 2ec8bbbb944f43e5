"""Known machines are complete, plausible, and as good as a detected one; a machine in a file is read back whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tunesmith.recipes import machine
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.machine import Machine, known
from tunesmith.recipes.machine.known import Known

ALL = list(known.all_known().values())
ROW = """kind = "cuda"
system = "Linux x86_64"
[[machines]]
key = "one"
name = "One"
memory_mib = 8192
capability = "8.6"
fp16_tflops = 1.0
bandwidth_gb_s = 1
cores = 1
ram_gib = 1
source = "x"
"""


def test_there_are_the_machines_we_know_of() -> None:
    assert len(known.keys()) == 96 == len(set(known.keys()))
    assert {one.kind for one in ALL} == {"cuda", "mps", "npu", "xpu"}
    assert {"rtx-2060", "rtx-5090", "t4", "h200", "mi300x", "arc-b580", "m3-max-64g", "ascend-310p"} <= set(
        known.keys()
    )


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_every_figure_has_a_source_and_is_plausible(one: Known) -> None:
    assert len(one.source) > 10
    assert 4e9 < one.memory_bytes < 600e9
    assert 2e12 < one.fp16_flops < 3e15
    assert one.bf16_flops in (None, one.fp16_flops)
    assert one.fp32_flops is None or 2e12 < one.fp32_flops <= one.fp16_flops
    assert 50e9 < one.bandwidth_bytes < 10e12
    # A card computes 8 to 1000 operations for each byte that it can read: beyond that a figure has the wrong unit.
    assert 8 < one.fp16_flops / one.bandwidth_bytes < 1000
    assert 4 <= one.cores <= 64 and 8 <= one.ram_gib <= 512


@pytest.mark.parametrize("one", [one for one in ALL if one.name.startswith("NVIDIA")], ids=lambda one: one.key)
def test_what_nvidia_s_generations_can_do(one: Known) -> None:
    generation = float(one.capability)
    assert (one.bf16_flops is None) == (generation < 8.0)
    assert one.fp32_flops is not None
    if one.name.startswith("NVIDIA GeForce"):  # sums in float32 at half the rate of the dearer cards
        assert one.fp16_flops / one.fp32_flops == pytest.approx(4 if generation < 8 else 2, rel=0.02)
    elif generation in (8.6, 8.9, 12.0):
        assert one.fp16_flops / one.fp32_flops == pytest.approx(4, rel=0.02)


def test_rates_are_those_of_the_white_papers() -> None:
    rates = {key: known.find(key).fp16_flops / 1e12 for key in ("rtx-3090", "rtx-4090", "rtx-5090", "a100-80g", "h100")}
    assert rates == {"rtx-3090": 71.2, "rtx-4090": 165.2, "rtx-5090": 209.5, "a100-80g": 312.0, "h100": 989.4}


@pytest.mark.parametrize("key", known.keys())
def test_a_known_machine_is_like_a_detected_one(key: str) -> None:
    found, one = known.machine(key), known.find(key)
    assert [device.kind for device in found.devices] == [one.kind, "cpu"]
    assert found.device.kind == (one.kind if one.kind in ("cuda", "mps") else "cpu")
    for device in found.devices:
        assert 0 < device.memory_free_bytes <= device.memory_bytes
    assert found.memory_free_bytes < found.memory_bytes
    assert msgspec.json.decode(msgspec.json.encode(found), type=Machine) == found


def test_a_mac_grants_its_gpu_three_quarters() -> None:
    found = known.machine("m3-max-64g")
    assert found.memory_bytes == 64 * 2**30
    assert found.device.memory_bytes == 48 * 2**30


def test_an_unknown_machine_offers_the_nearest() -> None:
    with pytest.raises(MachineError, match="'RTX 4090'") as refused:
        known.machine("RTX 4090")
    assert refused.value.hint.startswith("Did you mean 'rtx-4090'?")
    with pytest.raises(MachineError) as refused:
        known.load("zzzzzz")
    assert refused.value.hint.startswith("For example ")


@pytest.mark.parametrize("whole", [True, False])
def test_a_machine_in_a_json_file_comes_back_as_it_was(tmp_path: Path, whole: bool) -> None:
    found = machine.detect(tmp_path)
    said = msgspec.to_builtins(found)
    path = tmp_path / "machine.json"
    path.write_text(json.dumps({"ok": True, "machine": said, "checks": []} if whole else said))
    assert known.load(str(path)) == found


def test_a_machine_may_be_written_in_toml(tmp_path: Path) -> None:
    found = known.machine("a100-80g")
    path = tmp_path / "machine.toml"
    path.write_bytes(toml_of(found))
    assert known.load(str(path)) == found


def toml_of(found: Machine) -> bytes:
    """The fields one by one; JSON's texts, numbers and lists are TOML's too, and null is left out."""

    def lines(fields: dict[str, Any]) -> list[str]:
        return [f"{name} = {json.dumps(value)}" for name, value in fields.items() if value is not None]

    said = msgspec.to_builtins(found)
    devices = said.pop("devices")
    return "\n".join([*lines(said), *(line for device in devices for line in ("[[devices]]", *lines(device)))]).encode()


def test_a_file_from_a_newer_version_is_read(tmp_path: Path) -> None:
    said = msgspec.to_builtins(known.machine("l4"))
    said["devices"][0]["colour"] = "green"
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(said))
    assert known.load(str(path)).device.name == "NVIDIA L4"


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"machine": 3}', '{"machine": {"cores": "many"}}', "\xff\xfe"])
def test_a_file_that_is_no_machine_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "machine.json"
    path.write_text(text, "latin-1")
    with pytest.raises(MachineError, match="does not describe a machine") as refused:
        known.load(str(path))
    assert "tunesmith doctor --json" in refused.value.hint


def test_a_file_that_is_not_there_and_one_without_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot be read: No such file"):
        known.load(str(tmp_path / "gone.json"))
    said = msgspec.to_builtins(known.machine("l4")) | {"devices": []}
    (tmp_path / "bare.json").write_text(json.dumps(said))
    with pytest.raises(MachineError, match="names no device"):
        known.load(str(tmp_path / "bare.json"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ROW.replace("memory_mib = 8192", ""), "one has no memory of its own"),
        (ROW + ROW.partition('64"\n')[2], "one is there twice"),
        (ROW.replace("source", "sauce"), "sauce"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "maker.toml").write_text(text)
    with pytest.raises(ValueError, match=reason) as refused:
        known.read(tmp_path)
    assert str(refused.value).startswith("maker.toml: ")


def test_what_detection_says_of_a_device_is_said_of_a_known_one() -> None:
    ours = {key: known.machine(key).devices[0] for key in ("rtx-4090", "t4", "m3-max-64g")}
    assert (ours["rtx-4090"].capability, ours["rtx-4090"].bf16) == ((8, 9), True)
    assert (ours["t4"].capability, ours["t4"].bf16) == ((7, 5), False), "Turing has no units for bfloat16"
    assert ours["m3-max-64g"].capability is None
