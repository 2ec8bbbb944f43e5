"""The doctor tells what the machine has, names each check, its state and the fix, and fails only for the essential."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engines_beside
import msgspec
import nvml_double
import pytest
import typer
from measuring_child import MEASURED
from nvml_double.scenes import SYSTEM, T4, a100, divided, h200
from rich.console import Console

from tunesmith.daemon.api import learning, measuring
from tunesmith.daemon.api.home import Home
from tunesmith.recipes import machine
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.machine import Device, Holder, Warning
from tunesmith.recipes.measured import Rate, Tried
from tunesmith.recipes.planner import Learned
from tunesmith.tui.cli import check, checks, doctor, machine_checks

FAKES = Path(__file__).parents[2] / "fakes"
KEEP = [sys.executable, str(FAKES / "keep_measured.py")]
DOCTOR = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", "doctor"]


@pytest.fixture
def measured(home: Home) -> None:
    """The machine was measured before."""
    subprocess.run(KEEP, check=True, timeout=60)


@pytest.fixture
def quick_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Measuring takes no time; how often it was done."""
    starts = tmp_path / "starts.txt"
    monkeypatch.setattr(measuring, "CHILD", "measuring_child")
    monkeypatch.setenv("STARTS", str(starts))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")]))
    return lambda: len([line for line in starts.read_text().splitlines() if "--devices" not in line])


def said(results: list[check.Check], width: int) -> list[str]:
    output = io.StringIO()
    doctor._print(Console(file=output, width=width, highlight=False, markup=False), results)
    return output.getvalue().splitlines()


def test_doctor_names_every_check_and_starts_nothing(tunesmith: Any, home: Home, measured: None) -> None:
    ran = tunesmith("doctor", "--json")
    states = {one["name"]: one["state"] for one in ran.json["checks"]}
    assert ran.code == (1 if "fail" in states.values() else 0)
    assert ran.json["ok"] == (ran.code == 0)
    assert {"processor", "trains", "float32", "bitsandbytes", "torch.compile", "disk", "llama.cpp", "converter",
            "starter model", "daemon", "socket"} <= states.keys()  # fmt: skip
    assert ran.json["machine"]["cores"] >= 1
    assert ran.json["measured"]["products"]["float32"]["per_second"] == 2e11
    assert ran.err == "", "what was measured before is told without measuring"
    assert not home.socket.exists(), "looking starts no daemon"


def test_the_groups_go_from_the_hardware_up(tunesmith: Any, home: Home, measured: None) -> None:
    groups = dict.fromkeys(one["group"] for one in tunesmith("doctor", "--json").json["checks"])
    assert list(groups) == [
        "processor and memory", "devices", "speed", "libraries", "installation", "engines beside it", "runs",
        "forecasts",
    ]  # fmt: skip


def test_what_runs_taught_the_forecasts_is_shown_kind_by_kind(tunesmith: Any, home: Home, measured: None) -> None:
    key = "cpu/llama/sft/lora/nf4/float32/padded/fused"
    learning.keep(home, Learned().with_measured(key, memory=1.034, seconds=0.8))
    (check,) = (one for one in tunesmith("doctor", "--json").json["checks"] if one["group"] == "forecasts")
    assert check["meaning"] == (
        "llama, sft lora on nf4 in float32 on cpu, padded: memory +3.4%, time x0.80, from 1 run"
    )


@pytest.mark.slow
def test_the_first_time_it_measures_and_tells_so_on_standard_error(tunesmith: Any, home: Home) -> None:
    # Half a minute's work takes minutes where other tests run beside it.
    first = subprocess.run([*DOCTOR, "--json"], capture_output=True, text=True, timeout=240)
    assert "Measuring this machine" in first.stderr
    measured = json.loads(first.stdout.splitlines()[-1])["measured"]
    assert measured["products"]["float32"]["per_second"] > 1e9
    second = tunesmith("doctor", "--json")
    assert second.err == "" and second.json["measured"] == measured


def test_it_measures_once_and_again_when_asked_to(
    home: Home, quick_child: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    for refresh, times in ((False, 1), (False, 1), (True, 2)):
        doctor.doctor(as_json=True, refresh=refresh)
        assert quick_child() == times
    (intel,) = [device for device in json.loads(capsys.readouterr().out.splitlines()[-1])["machine"]["devices"]
                if device["kind"] == "xpu"]  # fmt: skip
    assert intel["memory_free_bytes"] == 11_000_000_000, "a device that only torch knows is asked for anew each time"


def test_a_machine_that_cannot_be_measured_is_told_and_everything_else_too(
    home: Home, quick_child: Callable[[], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEASURING", "fail")
    doctor.doctor(as_json=True)
    told = json.loads(capsys.readouterr().out)
    (speed,) = [one for one in told["checks"] if one["group"] == "speed"]
    assert (speed["state"], told["measured"], told["ok"]) == ("warn", None, True), "training can go without figures"
    assert "libtorch.so" in speed["meaning"] and speed["fix"]


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_double.compiled(tmp_path_factory.mktemp("nvml"))


Told = tuple[dict[str, dict[str, Any]], list[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def seen(home: Home, nvml_library: Path, tmp_path: Path) -> Callable[[str], Told]:
    """What `tunesmith doctor --json` says of a scene: checks by name, its warnings, and all of it."""

    def run(scene: str) -> Told:
        (tmp_path / "scene.txt").write_text(scene)
        torch = nvml_double.with_torch(tmp_path / "torch", "12.6")
        environment = dict(nvml_double.environment(nvml_library, tmp_path / "scene.txt", torch))
        subprocess.run(KEEP, env=environment, check=True, timeout=60)
        done = subprocess.run([*DOCTOR, "--json"], env=environment, capture_output=True, text=True, timeout=60)
        told = json.loads(done.stdout.splitlines()[-1])
        by_name = {one["name"]: one for one in told["checks"]}
        return by_name, [one for one in told["checks"] if one["name"] == "limit"], told

    return run


def test_a_gpu_is_told_with_all_that_is_known_of_it(seen: Callable[[str], Told]) -> None:
    told, limits, everything = seen(SYSTEM + T4)
    assert told["trains"]["meaning"] == "Tesla T4"
    assert told["GPU 0"]["meaning"].splitlines() == [
        "Tesla T4, sm75",
        "15.6 GB of 16.1 GB free",
        "No bfloat16 units, so it trains in float32; no flash-attn 2 (both from sm80 on).",
        "41 °C, 10 of 70 W",
        "driver 550.54.15, for CUDA up to 12.4",
    ]
    assert limits == []
    assert everything["machine"]["devices"][0]["power_limit_watts"] == 70.0


def test_who_holds_a_gpu_s_memory_is_named_with_the_command_that_frees_it(seen: Callable[[str], Told]) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        told, (limit,), everything = seen(SYSTEM + h200("free 50754820096", f"process {other.pid} 100000000000"))
        other.kill()
    assert f"used by sleep (pid {other.pid}), 100.0 GB" in told["GPU 0"]["meaning"]
    assert limit["state"] == "warn" and f"kill {other.pid}" in limit["fix"]
    assert "sleep" in limit["meaning"], "it names who it is"
    assert everything["ok"] == all(one["state"] != "fail" for one in everything["checks"])


def test_instances_and_a_lost_gpu_are_told_beside_each_other(seen: Callable[[str], Told]) -> None:
    _, limits, everything = seen(SYSTEM + divided(0, ("3g.20gb", 21_000_000_000)) + a100(1, "lost 15"))
    assert [one["meaning"].partition("\n")[0] for one in everything["checks"] if one["name"] == "GPU 0"] == [
        "NVIDIA A100-SXM4-40GB MIG 3g.20gb, sm80"
    ]
    assert ["GPU 1 has fallen off the bus" in one["meaning"] for one in limits] == [True]


def test_a_driver_that_is_not_loaded_is_a_warning_and_training_goes_to_the_processor(
    seen: Callable[[str], Told],
) -> None:
    told, (limit,), _ = seen("init 9\n")
    assert "runs on the processor" in told["trains"]["meaning"]
    assert "not loaded" in limit["meaning"] and "modprobe nvidia" in limit["fix"]


def test_in_80_columns_every_line_is_whole_and_stays_in_its_column(home: Home) -> None:
    users = (Holder(4242, "python3", 100_000_000_000), Holder(7, None, None))
    gpu = Device("cuda", "NVIDIA H200", 150_800_000_000, 50_800_000_000, "sm90", means="Trains in bfloat16.", index=0,
                 used_by=users)  # fmt: skip
    long = Warning("Only 50.8 GB of 150.8 GB are free on GPU 0 " + "(NVIDIA H200) " * 8, "End it if you can, or wait.")
    found = msgspec.structs.replace(machine.detect(), devices=(gpu,), warnings=(long,))
    lines = said(checks.run(home, found, MEASURED), 80)
    assert max(map(len, lines)) <= 80
    continued = [line for line in lines if line.startswith("   ")]
    assert continued and all(line[:20].strip() == "" for line in continued), "below its own text, not below the state"
    assert any("another user or container (pid 7)" in line for line in lines)
    assert not any("…" in line for line in lines), "nothing is cut off"


def test_what_is_granted_and_what_the_host_has_are_both_told() -> None:
    limited = msgspec.structs.replace(machine.detect(), cores=2, host_cores=64, host_memory_bytes=512_000_000_000)
    processor, memory = machine_checks.processor_and_memory(limited)
    assert "2 of the host's 64 cores" in processor.meaning
    assert "of the host's 512.0 GB" in memory.meaning


def test_a_library_that_is_there_and_broken_is_a_warning_and_one_that_is_not_there_is_not() -> None:
    on_gpu = msgspec.structs.replace(
        MEASURED,
        device="cuda",
        works={
            "bitsandbytes": Tried(False, "bitsandbytes is not installed", 0.0, missing=True),
            "flash_attn": Tried(False, "RuntimeError: no kernel image", 0.1),
            "liger_kernel": Tried(False, "liger_kernel is not installed", 0.0, missing=True),
        },
    )
    states = {one.name: one.state for one in machine_checks.libraries(on_gpu)}
    assert states == {"bitsandbytes": "warn", "flash_attn": "warn", "liger_kernel": "ok"}
    assert all(one.fix for one in machine_checks.libraries(on_gpu)), "each with the command that puts it right"


def test_a_full_disk_is_a_failure_with_a_fix() -> None:
    full = msgspec.structs.replace(machine.detect(), disk_free_bytes=10**9)
    found = checks.disk(full)
    assert found.state == "fail" and "TUNESMITH_HOME" in found.fix


def test_what_is_essential_and_missing_makes_the_exit_code_1(
    home: Home, quick_child: Callable[[], int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(typer.Exit) as ended:
        doctor.doctor()
    assert ended.value.exit_code == 1, "no converter, no GGUF"


def test_a_missing_converter_is_a_failure_with_a_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    found = checks.converter(Home(tmp_path))
    assert found.state == "fail" and found.fix == "./install.sh"


def test_a_socket_folder_open_to_others_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    (tmp_path / "run").chmod(0o755)
    found = checks.socket(Home(tmp_path))
    assert found.state == "fail" and found.fix.startswith("chmod 700")


def test_every_state_but_ok_has_a_fix() -> None:
    low = msgspec.structs.replace(machine.detect(), disk_free_bytes=0, memory_free_bytes=0)
    slow = msgspec.structs.replace(MEASURED, disk_write=Rate(None, "No space left on device"))
    failed = MachineError("This machine could not be measured", "Run ./install.sh again.")
    results = [
        *machine_checks.processor_and_memory(low), *machine_checks.speed(slow), *machine_checks.speed(failed),
        checks.disk(low),
    ]  # fmt: skip
    assert {one.state for one in results} >= {"ok", "warn", "fail"}
    assert all(one.fix for one in results if one.state != "ok")


def test_engines_that_are_installed_beside_are_told_with_their_place(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    command = engines_beside.install(tmp_path / "bin", "vllm")
    monkeypatch.setenv("TUNESMITH_SERVE_SGLANG", str(tmp_path / "gone"))
    found = {one.name: one for one in checks.engines_beside(home)}
    assert found["vLLM"].state == "ok" and str(command) in found["vLLM"].meaning
    assert found["SGLang"].state == "warn" and "settings set serve.sglang" in found["SGLang"].fix
    assert found["LMDeploy"].state == "ok" and "not installed" in found["LMDeploy"].meaning
