"""What is found of NVIDIA GPUs, through the real pynvml over a double of NVIDIA's library (tests/fakes/nvml_double)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nvml_double
import pytest
from nvml_double.scenes import RTX_3060, RTX_4090, SYSTEM, T4, a100, divided, h200

from tunesmith.recipes.machine import Device, Holder, Machine, Warning, cuda

See = Callable[..., tuple[tuple[Device, ...], tuple[Warning, ...]]]


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A living process of another program, to be named as the one who holds memory."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_t4_is_described_whole_and_has_neither_bf16_nor_flash_attention(see: See) -> None:
    (found,), warnings = see(SYSTEM + T4)
    assert found == Device(
        kind="cuda",
        name="Tesla T4",
        memory_bytes=16106127360,
        memory_free_bytes=15628304384,
        note="sm75",
        usable=True,
        means=found.means,
        index=0,
        uuid="GPU-7e1f0a44-0000-0000-0000-000000000000",
        capability=(7, 5),
        bf16=False,
        driver="550.54.15",
        runtime="12.4",
        mig=None,
        temperature_c=41,
        slowed_by_heat=False,
        power_watts=9.85,
        power_limit_watts=70.0,
        used_by=(),
    ), "every fact NVML has, in our units; MIG is None on a card that cannot be divided"
    assert "No bfloat16" in found.means and "no flash-attn 2" in found.means, "Turing has neither"
    assert warnings == (), "480 MB in use is what the driver itself takes"


def test_a_3060_trains_in_bf16_and_a_card_that_answers_less_is_still_there(see: See) -> None:
    without_power = RTX_3060.replace("power 15300\n", "").replace("limit 170000\n", "").replace("reasons 0x1\n", "")
    (found,), warnings = see(SYSTEM + without_power)
    assert (found.capability, found.bf16) == ((8, 6), True), "Ampere has bf16 units"
    assert "Trains in bfloat16; flash-attn 2 runs here." in found.means, "both from sm80 on, and no fp8 before Ada"
    assert (found.power_watts, found.power_limit_watts, found.slowed_by_heat) == (None, None, None), "not supported"
    assert found.temperature_c == 47, "a question that is not supported costs its own fact only"
    assert warnings == ()


def test_a_4090_has_fp8_units_too(see: See) -> None:
    (found,), _ = see(SYSTEM + RTX_4090)
    assert (found.bf16, found.memory_bytes) == (True, 25757220864)
    assert "fp8" in found.means, "Ada is the first with them"


def test_a_card_that_says_nothing_of_itself_is_not_lost_and_nothing_is_invented(see: See) -> None:
    (found,), warnings = see("gpu\nno-processes\n")
    unknown = Device("cuda", "NVIDIA GPU", 0, 0, index=0)
    assert found == unknown, "None, or no bytes, for what could not be found"
    assert warnings == ()


def test_two_a100_are_two_devices_and_the_first_trains(see: See) -> None:
    devices, warnings = see(SYSTEM + a100(0) + a100(1))
    assert [device.index for device in devices] == [0, 1]
    assert len({device.uuid for device in devices}) == 2, "each has an identity of its own"
    assert all(device.mig is False for device in devices), "can be divided, but is not"
    assert warnings == ()
    processor = Device("cpu", "a processor", 1, 1)
    machine = Machine("Linux", "a processor", 8, (), 1, 1, (*devices, processor), 10**12)
    assert machine.device == devices[0]


def test_of_an_h200_with_100_gb_taken_the_free_memory_counts_and_who_took_it_is_named(
    see: See, other: subprocess.Popen[bytes]
) -> None:
    (found,), warnings = see(SYSTEM + h200("free 50754820096", f"process {other.pid} 100000000000"))
    assert found.memory_free_bytes == 50754820096, "what others hold is not ours to plan with"
    assert found.used_by == (Holder(other.pid, "sleep", 100_000_000_000),)
    (warning,) = warnings
    assert warning.text == (
        f"Only 50.8 GB of 150.8 GB are free on GPU 0 (NVIDIA H200): sleep (pid {other.pid}) holds 100.0 GB"
    )
    assert f"kill {other.pid}" in warning.fix, "the way out is a command"


def test_a_holder_of_another_container_is_told_as_such(see: See) -> None:
    unused = max(int(name) for name in os.listdir("/proc") if name.isdecimal()) + 1_000_000
    (found,), (warning,) = see(SYSTEM + h200("free 50754820096", f"process {unused} 100000000000"))
    assert found.used_by == (Holder(unused, None, 100_000_000_000),), "no process of that number here: no name"
    assert "a process of another user or container" in warning.text


def test_a_run_of_ours_is_told_as_such_and_nobody_is_told_to_kill_it(see: See) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)", "tunesmith.daemon.worker", "jobs/1", "1"]
    with subprocess.Popen(command) as run:
        (found,), (warning,) = see(SYSTEM + h200("free 50754820096", f"process {run.pid} 100000000000"))
        run.kill()
    assert found.used_by == (Holder(run.pid, "a run of Tunesmith", 100_000_000_000),)
    assert "tunesmith jobs list" in warning.fix and "kill" not in warning.fix


def test_a_name_that_would_act_on_the_terminal_does_not(see: See, tmp_path: Path) -> None:
    program = tmp_path / "\x1b[31mred"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with subprocess.Popen([str(program), "60"]) as process:
        (found,), _ = see(SYSTEM + RTX_4090 + f"process {process.pid} 900000000\n")
        process.kill()
    assert found.used_by == (Holder(process.pid, "[31mred", 900_000_000),), "the escape itself is gone"


def test_memory_that_nobody_admits_to_is_told_with_where_to_look(see: See) -> None:
    (found,), (warning,) = see(SYSTEM + h200("free 50754820096"))
    assert found.used_by == (), "containers often see no process of the host"
    assert "cannot be seen from here" in warning.text and "outside this container" in warning.fix


def test_a_process_that_draws_and_computes_is_counted_once(see: See, other: subprocess.Popen[bytes]) -> None:
    lines = f"process {other.pid} 900000000\ngraphics {other.pid} 900000000\ngraphics 1 300000000\n"
    (found,), warnings = see(SYSTEM + RTX_4090 + lines)
    assert [(user.pid, user.memory_bytes) for user in found.used_by or ()] == [
        (other.pid, 900_000_000),
        (1, 300_000_000),
    ]
    assert warnings == (), "a desktop's share is no reason to warn"


def test_of_a_divided_gpu_the_instances_are_the_devices(see: See) -> None:
    scene = SYSTEM + divided(0, ("3g.20gb", 21_000_000_000), ("1g.5gb", 5_000_000_000)) + a100(1)
    devices, warnings = see(scene)
    assert [device.name for device in devices] == [
        "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100-SXM4-40GB",
    ], "as CUDA shows them: a divided GPU is not a device itself"  # fmt: skip
    assert [device.memory_bytes for device in devices] == [21_000_000_000, 5_000_000_000, 42949672960]
    assert [device.mig for device in devices] == [True, True, False]
    assert devices[0].uuid == "MIG-00000000-0000-0000-0000-000000000000"
    assert devices[0].temperature_c == 33, "heat is known of the whole GPU"
    (warning,) = warnings
    assert "one MIG instance" in warning.text and "3g.20gb" in warning.text, "CUDA gives a process no more than one"
    assert "nvidia-smi -i 0 -mig 0" in warning.fix


def test_a_divided_gpu_without_an_instance_is_no_device_and_says_why(see: See) -> None:
    devices, (warning,) = see(SYSTEM + divided(0))
    assert devices == ()
    assert "no instance" in warning.text and "-mig 0" in warning.fix


@pytest.mark.parametrize(
    ("code", "text", "fix"),
    [
        (15, "fallen off the bus", "Restart the machine"),
        (16, "must be reset", "nvidia-smi -i 0 --gpu-reset"),
        (4, "may not be used by you", "/dev/nvidia"),
        (999, "does not answer: Unknown Error", "nvidia-smi"),
    ],
    ids=["lost", "needs a reset", "no permission", "something else"],
)
def test_a_gpu_that_falls_off_the_bus_leaves_the_other(see: See, code: int, text: str, fix: str) -> None:
    devices, (warning,) = see(SYSTEM + a100(0, f"lost {code}") + a100(1))
    assert [device.index for device in devices] == [1], "the one that answers still trains"
    assert "GPU 0" in warning.text and text in warning.text
    assert fix in warning.fix


def test_a_gpu_that_goes_while_it_is_asked_is_lost_and_not_a_card_without_facts(see: See) -> None:
    devices, (warning,) = see(SYSTEM + a100(0) + a100(1, "dies 15"))
    assert [device.index for device in devices] == [0]
    assert "GPU 1 has fallen off the bus" in warning.text


def test_no_library_is_an_ordinary_machine_without_such_a_gpu(see: See, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    devices, warnings = see("", library=tmp_path / "empty")
    if not cuda._slot():  # this machine has such a card in truth: then the other test speaks for it
        assert (devices, warnings) == ((), ()), "nothing there, and nothing to complain of"


def test_a_card_without_any_driver_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    from tunesmith.recipes.nvidia import faults

    for slot, vendor, kind in (("0000:00:02.0", "0x8086", "0x030000"), ("0000:01:00.0", "0x10de", "0x030200")):
        (tmp_path / slot).mkdir()
        (tmp_path / slot / "vendor").write_text(vendor + "\n")
        (tmp_path / slot / "class").write_text(kind + "\n")
    monkeypatch.setattr(cuda, "PCI", tmp_path)
    absent = pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    (warning,) = faults.without_driver(absent, cuda._slot())
    assert "PCI 0000:01:00.0" in warning.text, "Intel's GPU beside it needs no NVIDIA driver"
    assert "Install NVIDIA's driver" in warning.fix


@pytest.mark.parametrize(
    ("code", "text", "fix"),
    [
        (9, "installed but not loaded", "modprobe nvidia"),
        (18, "was updated while the old one still runs", "Restart"),
        (999, "does not answer: Unknown Error", "nvidia-smi"),
    ],
    ids=["not loaded", "updated", "something else"],
)
def test_a_driver_that_does_not_start_is_told_with_its_remedy(see: See, code: int, text: str, fix: str) -> None:
    devices, (warning,) = see(f"init {code}\n" + T4)
    assert devices == (), "without a driver there is nothing to train on"
    assert text in warning.text and fix in warning.fix


def test_an_old_driver_still_says_who_uses_its_cards(see: See, tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    (tmp_path / "old").mkdir()
    old = nvml_double.compiled(tmp_path / "old", "-DOLD_DRIVER")
    scene = SYSTEM + T4.replace("reasons 0x1", "reasons 0x40") + f"process {other.pid} 100000000\n"
    (found,), _ = see(scene, library=old)
    assert found.used_by == (Holder(other.pid, "sleep", 100_000_000),), "version 2 of the question answers too"
    assert found.slowed_by_heat is True, "throttling was asked for by another name before driver 535"


def test_heat_that_slows_a_card_is_a_warning(see: See) -> None:
    hot = T4.replace("reasons 0x1", "reasons 0x20").replace("temperature 41", "temperature 91")
    (found,), (warning,) = see(SYSTEM + hot)
    assert found.slowed_by_heat is True
    assert "91 °C" in warning.text and "nvidia-smi -i 0 -pl" in warning.fix


def test_where_the_driver_keeps_its_reasons_the_temperature_tells(see: See) -> None:
    silent = T4.replace("reasons 0x1\n", "")
    assert see(SYSTEM + silent)[0][0].slowed_by_heat is False


@pytest.mark.parametrize(
    ("setting", "numbers", "said"),
    [
        ("1", [1], None),
        ("2,0", [2, 0], None),
        ("GPU-a1000001", [1], None),
        ("GPU-a100", [], "there is no 'GPU-a100'"),
        ("0,7,1", [0], "there is no '7'"),
        ("1,-1,0", [1], None),
        ("0,0", [], "'0' is named twice"),
        ("", [], "none of 3 devices"),
        ("-1", [], "none of 3 devices"),
    ],
    ids=["a number", "an order", "a UUID's start", "an unclear UUID", "unknown ends the list", "cut short on purpose",
         "twice", "empty", "hidden"],
)  # fmt: skip
def test_the_devices_are_those_that_cuda_shows(see: See, setting: str, numbers: list[int], said: str | None) -> None:
    devices, warnings = see(SYSTEM + a100(0) + a100(1) + a100(2), CUDA_VISIBLE_DEVICES=setting)
    assert [device.index for device in devices] == numbers
    assert [warning.fix.startswith("`unset CUDA_VISIBLE_DEVICES`") for warning in warnings] == ([True] if said else [])
    assert said is None or said in warnings[0].text


def test_an_instance_is_chosen_by_its_uuid(see: See) -> None:
    scene = SYSTEM + divided(0, ("3g.20gb", 21_000_000_000), ("1g.5gb", 5_000_000_000))
    devices, warnings = see(scene, CUDA_VISIBLE_DEVICES="MIG-01000000")
    assert [device.name for device in devices] == ["NVIDIA A100-SXM4-40GB MIG 1g.5gb"]
    assert warnings == (), "one was chosen, so nothing is left to say"


@pytest.mark.parametrize(
    ("scene", "torch_cuda", "text", "fix"),
    [
        (SYSTEM + RTX_3060, None, "torch 2.13.0+cpu was built without CUDA", "./install.sh"),
        (SYSTEM + RTX_3060, "13.0", "up to 12.4, but torch 2.13.0+cu130 needs CUDA 13.0", "Update the NVIDIA driver"),
        ("driver 580.65\ncuda 13000\n" + RTX_3060.replace("8 6", "6 1"), "13.0", "no code in it for", "CUDA 12.6"),
    ],
    ids=["torch for processors", "driver older than torch's CUDA", "Pascal with CUDA 13"],
)  # fmt: skip
def test_a_card_that_this_torch_cannot_use_is_no_place_to_train(
    see: See, scene: str, torch_cuda: str | None, text: str, fix: str
) -> None:
    (found,), (warning,) = see(scene, torch_cuda)
    assert not found.usable, "training would go to the processor"
    assert text in warning.text and fix in warning.fix
    processor = Device("cpu", "a processor", 1, 1)
    assert Machine("Linux", "a processor", 8, (), 1, 1, (found, processor), 10**12).device == processor


def test_a_newer_driver_or_another_minor_version_is_fine(see: See) -> None:
    assert see(SYSTEM + RTX_3060, "12.9")[1] == (), "CUDA 12 drivers run every CUDA 12 (minor version compatibility)"
