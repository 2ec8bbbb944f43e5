"""What torch sees becomes devices of the machine; what was measured, sentences. Torch is a double (tests/fakes)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from measuring_child import MEASURED

from tunesmith.recipes.machine import Device, Machine
from tunesmith.recipes.measured import DTYPES, LIBRARIES, Measured, Rate, Surface, TorchDevice, Tried, says
from tunesmith.recipes.measured.merge import merge

DOUBLE = Path(__file__).parents[1] / "fakes" / "torch_surface.py"
PROCESSOR = Device("cpu", "a processor", 64_000_000_000, 60_000_000_000)
T4 = Device("cuda", "Tesla T4", 16_000_000_000, 15_000_000_000, uuid="GPU-aaaa-1", capability=(7, 5), driver="550")
RTX_4090 = Device("cuda", "NVIDIA RTX 4090", 25_000_000_000, 24_000_000_000, uuid="GPU-bbbb-2", capability=(8, 9))


def seen_by(kind: str) -> Surface:
    """In a process of its own: its torch is the double."""
    done = subprocess.run([sys.executable, str(DOUBLE), kind], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Surface)


def machine(*devices: Device) -> Machine:
    return Machine("Linux", "a processor", 8, (), 1, 1, (*devices, PROCESSOR), 10**12)


def test_a_torch_for_processors_adds_nothing() -> None:
    assert seen_by("bare") == Surface(), "no device, and nothing refused"
    assert merge(machine(), Surface()) == machine()


def test_amd_gpus_are_devices_that_train_as_cuda_ones_do() -> None:
    first, second, processor = merge(machine(), seen_by("hip")).devices
    assert (first.kind, first.name, first.note) == ("cuda", "AMD Instinct MI300X", "gfx942"), (
        "torch's name for it is cuda"
    )
    assert (first.memory_bytes, first.memory_free_bytes) == (206_000_000_000, 190_000_000_000)
    assert first.usable and "ROCm" in first.means
    assert first.capability is None, "a compute capability is NVIDIA's; torch has numbers there all the same"
    assert (second.memory_bytes, second.memory_free_bytes) == (25_700_000_000, 0), "one fact is missing, not the card"
    assert processor == PROCESSOR, "the processor stays the last"
    assert merge(machine(), seen_by("hip")).device == first


def test_an_intel_gpu_is_shown_and_not_trained_on() -> None:
    found = merge(machine(), seen_by("xpu"))
    assert (found.devices[0].kind, found.devices[0].name) == ("xpu", "Intel(R) Arc(TM) B580")
    assert (found.devices[0].memory_bytes, found.devices[0].bf16) == (12_200_000_000, True)
    assert not found.devices[0].usable and "not used for training yet" in found.devices[0].means
    assert found.device == PROCESSOR


def test_ascend_npus_get_their_memory_from_torch_npu() -> None:
    by_file = tuple(Device("npu", f"Ascend NPU {number}", 0, 0, usable=False) for number in range(2))
    found = merge(machine(*by_file), seen_by("npu"))
    assert [device.name for device in found.devices] == ["Ascend910B3", "Ascend910B3", "a processor"], "not twice"
    assert [device.memory_free_bytes for device in found.devices[:2]] == [64_000_000_000, 63_999_999_999]
    assert merge(machine(*by_file), Surface()) == machine(*by_file), "without torch_npu the device files speak"


def test_an_apple_gpu_may_use_what_metal_recommends() -> None:
    by_share = Device("mps", "Apple GPU", 24_000_000_000, 20_000_000_000, "unified memory")
    found = merge(machine(by_share), seen_by("mps")).device
    assert (found.kind, found.note) == ("mps", "unified memory")
    assert (found.memory_bytes, found.memory_free_bytes) == (27_000_000_000, 26_600_000_000)
    assert found.bf16 is True, "a product in bfloat16 came out right"
    later = merge(machine(by_share), seen_by("mps"), live=False).device
    assert (later.memory_bytes, later.memory_free_bytes) == (27_000_000_000, 20_000_000_000), "memory is shared: psutil"
    assert seen_by("mps_old").devices[0].bf16 is None, "macOS before 14 refuses bfloat16"


def test_what_nvml_could_not_say_torch_does() -> None:
    shared = Device("cuda", "NVIDIA GB10", 0, 0, uuid="GPU-0b000000-1111-2222-3333-444444444444", driver="580.95")
    (found, _) = merge(machine(shared), seen_by("cuda")).devices
    assert (found.memory_bytes, found.memory_free_bytes) == (128_000_000_000, 100_000_000_000), "memory is shared there"
    assert (found.capability, found.driver) == ((12, 1), "580.95")


def test_where_nvml_is_missing_torch_alone_tells_of_an_nvidia_gpu() -> None:
    found = merge(machine(), seen_by("cuda")).device
    assert (found.kind, found.name, found.note) == ("cuda", "NVIDIA GB10", "sm121")
    assert "Trains in bfloat16" in found.means and found.used_by is None, "who uses it only NVML knows"


def test_an_instance_is_known_by_its_name_when_torch_gives_the_uuid_of_the_whole_gpu() -> None:
    instance = msgspec.structs.replace(T4, name="NVIDIA A100 MIG 1g.5gb", uuid="MIG-1", mig=True)
    surface = Surface((TorchDevice("cuda", "NVIDIA A100 MIG 1g.5gb", 5, 4, "aaaa-1"),))
    assert merge(machine(instance), surface).devices == (instance, PROCESSOR), "one device, not two"


def test_nvidia_gpus_are_in_the_order_in_which_torch_numbers_them_and_keep_nvmls_facts() -> None:
    surface = Surface(
        (TorchDevice("cuda", "NVIDIA RTX 4090", 1, 1, "bbbb-2"), TorchDevice("cuda", "Tesla T4", 1, 1, "aaaa-1"))
    )
    found = merge(machine(T4, RTX_4090), surface)
    assert found.devices == (RTX_4090, T4, PROCESSOR), "CUDA puts the fastest first, NVML goes by slot"
    assert found.device == RTX_4090, "so training is on this one"


def test_a_gpu_that_torch_does_not_offer_is_not_trained_on_and_the_reason_is_told() -> None:
    found = merge(machine(T4), seen_by("old_driver"))
    assert not found.devices[0].usable and found.device == PROCESSOR
    (warning,) = found.warnings
    assert "Tesla T4" in warning.text and "driver on your system is too old" in warning.text
    assert "Please update" not in warning.text, "the first line is the reason"


def test_a_gpu_that_was_known_to_be_unusable_is_not_warned_of_twice() -> None:
    known = msgspec.structs.replace(T4, usable=False)
    assert merge(machine(known), seen_by("old_driver")).warnings == ()


def test_free_memory_of_another_time_is_not_shown_as_free_now() -> None:
    found = merge(machine(), seen_by("xpu"), live=False).devices[0]
    assert (found.memory_bytes, found.memory_free_bytes) == (12_200_000_000, 0)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(2.16, "2.2 times"), (1.05, "as fast as"), (0.97, "as fast as"), (0.8, "0.8 of"), (0.5, "half of"),
     (0.2, "a fifth of"), (0.0125, "1/80 of")],
)  # fmt: skip
def test_a_ratio_is_said_as_people_say_it(ratio: float, text: str) -> None:
    assert says.times(ratio) == text


def measured(float32: float | None, bfloat16: float | None) -> Measured:
    rates = {"float32": Rate(float32), "bfloat16": Rate(bfloat16), "float16": Rate(None, "not implemented")}
    return msgspec.structs.replace(MEASURED, products=rates)


def test_the_rates_say_which_dtype_to_train_in() -> None:
    assert "a fifth of float32's speed here: float32 it is" in says.dtypes(measured(2e11, 4e10))
    faster = measured(2e11, 4e11)
    assert "2.0 times float32's speed" in says.dtypes(faster)
    assert "stays in float32; `training.dtype: bfloat16`" in says.dtypes(faster), "products are not a whole step"
    assert "training uses it" in says.dtypes(msgspec.structs.replace(faster, device="cuda")), "a GPU need not be told"
    assert "as fast as float32 here, in half of the memory" in says.dtypes(measured(2e11, 2.1e11))
    assert says.dtypes(measured(None, 2e11)) == "", "nothing to compare with"
    assert says.product(measured(2e11, 4e10), "bfloat16") == "40 GFLOP/s, a fifth of float32"
    assert says.product(measured(2e11, 4e10), "float16") == "not measured: not implemented"


def test_a_library_that_does_not_work_has_a_command_unless_it_is_not_for_this_machine() -> None:
    broken = Tried(False, "RuntimeError: no kernel image", 0.1)
    assert all(says.library_fix(name, broken, "cuda") for name in LIBRARIES), "each can be put right"
    assert [name for name in LIBRARIES if not says.library_fix(name, broken, "cpu")] == ["flash_attn", "liger_kernel"]
    assert says.library_fix("bitsandbytes", Tried(True, "", 0.5), "cpu") == ""
    assert says.library(broken) == "does not work: RuntimeError: no kernel image"
    assert says.library(Tried(False, "flash_attn is not installed", 0.0, missing=True)).startswith("not used: ")


def test_every_dtype_and_rate_has_its_sentence() -> None:
    assert all(says.product(MEASURED, dtype) for dtype in DTYPES)
    assert "a checkpoint of 1 GB takes 2 s" in says.disk(Rate(5e8))
    assert says.disk(Rate(None, "No space left on device")) == "not measured: No space left on device"
    assert "32.0 GB/s" in says.memory(Rate(3.2e10))
