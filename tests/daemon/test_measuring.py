"""The machine is measured once: kept until a version changes, and whatever ends the measuring process is left out."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from measuring_child import MEASURED

from tunesmith.daemon.api import measuring
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.machine import Device, Machine

FAKES = Path(__file__).parents[1] / "fakes"
PROCESSOR = Device("cpu", "a processor", 64_000_000_000, 60_000_000_000)
MACHINE = Machine("Linux", "a processor", 8, (), 64_000_000_000, 60_000_000_000, (PROCESSOR,), 10**12)


class Child:
    """The stand-in for the measuring process: what it is told to do, and how it was started."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started = folder / "starts.txt"
        self.environment = monkeypatch
        monkeypatch.setattr(measuring, "CHILD", "measuring_child")
        monkeypatch.setenv("STARTS", str(self.started))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")]))

    def does(self, what: str) -> None:
        self.environment.setenv("MEASURING", what)

    def starts(self) -> list[str]:
        return self.started.read_text().splitlines() if self.started.exists() else []


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Child:
    return Child(tmp_path, monkeypatch)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_what_was_measured_is_kept_and_read_without_measuring(child: Child, home: Home) -> None:
    assert measuring.kept(home, MACHINE) is None, "nothing was measured yet"
    steps: list[str] = []
    assert measuring.measure(home, MACHINE, steps.append) == MEASURED
    assert steps[:2] == ["devices", "float32"] and steps[-1] == "torch.compile", "told as they begin"
    assert measuring.kept(home, MACHINE) == MEASURED
    assert len(child.starts()) == 1, "reading it starts no process"
    assert home.root.stat().st_mode & 0o077 == 0, "nobody else's business"


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(MACHINE, cores=4),
        msgspec.structs.replace(MACHINE, cpu_name="another"),
        msgspec.structs.replace(MACHINE, devices=(Device("cuda", "Tesla T4", 1, 1, driver="550.54.15"), PROCESSOR)),
    ],
    ids=["cores", "processor", "a GPU and its driver"],
)
def test_another_machine_is_measured_anew(child: Child, home: Home, other: Machine) -> None:
    measuring.measure(home, MACHINE, lambda step: None)
    assert measuring.kept(home, other) is None, "figures of another machine would be wrong here"


def test_another_version_of_a_library_is_measured_anew(
    child: Child, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring.measure(home, MACHINE, lambda step: None)
    real = measuring.version
    monkeypatch.setattr(measuring, "version", lambda name: "99.0" if name == "bitsandbytes" else real(name))
    assert measuring.kept(home, MACHINE) is None, "another bitsandbytes may work where this one does not"


def test_the_temperature_of_a_gpu_and_its_free_memory_change_nothing(child: Child, home: Home) -> None:
    gpu = Device("cuda", "Tesla T4", 16, 15, uuid="GPU-1", driver="550", temperature_c=40)
    cool = msgspec.structs.replace(MACHINE, devices=(gpu, PROCESSOR))
    warm = msgspec.structs.replace(gpu, memory_free_bytes=2, temperature_c=80)
    measuring.measure(home, cool, lambda step: None)
    assert measuring.kept(home, msgspec.structs.replace(MACHINE, devices=(warm, PROCESSOR))) == MEASURED


@pytest.mark.parametrize("damage", [b"", b"{", b'{"basis": 1}', b"\xff\xfe\x00"])
def test_a_damaged_cache_is_measured_again(child: Child, home: Home, damage: bytes) -> None:
    measuring.measure(home, MACHINE, lambda step: None)
    home.measured.write_bytes(damage)
    assert measuring.kept(home, MACHINE) is None
    assert measuring.measure(home, MACHINE, lambda step: None) == MEASURED
    assert measuring.kept(home, MACHINE) == MEASURED


def test_a_library_that_ends_the_process_is_left_out_and_told(child: Child, home: Home) -> None:
    child.does("crash bitsandbytes")
    measured = measuring.measure(home, MACHINE, lambda step: None)
    assert not measured.works["bitsandbytes"].works, "it did not work, and that is an answer"
    assert measured.works["torch.compile"].works, "the others were still tried"
    assert [line.partition(" ")[2] for line in child.starts()] == ["", "--without bitsandbytes"]


def test_a_process_that_cannot_start_is_an_error_with_a_way_out(child: Child, home: Home) -> None:
    child.does("fail")
    with pytest.raises(MachineError) as caught:
        measuring.measure(home, MACHINE, lambda step: None)
    assert "libtorch.so: cannot open shared object file" in caught.value.message
    assert "./install.sh" in caught.value.hint
    assert not home.measured.exists(), "nothing half-measured is kept"


def test_a_process_that_gives_up_by_itself_is_not_started_again(child: Child, home: Home) -> None:
    child.does("fail memory")
    with pytest.raises(MachineError, match="while measuring memory"):
        measuring.measure(home, MACHINE, lambda step: None)
    assert len(child.starts()) == 1, "only what a signal ended is worth another try without it"


def test_a_library_that_crashes_even_when_left_out_does_not_go_on_for_ever(child: Child, home: Home) -> None:
    child.does("crash-always disk")
    with pytest.raises(MachineError, match="signal 4"):
        measuring.measure(home, MACHINE, lambda step: None)
    assert len(child.starts()) == 2


def test_a_process_that_hangs_is_ended(child: Child, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "WITHIN_S", 1.0)
    child.does("hang")
    with pytest.raises(MachineError, match="longer than 1 s"):
        measuring.measure(home, MACHINE, lambda step: None)
    assert len(child.starts()) == 1, "what took too long once is not tried again"


def test_a_home_that_cannot_be_written_is_an_error_with_a_way_out(child: Child, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError) as caught:
        measuring.measure(Home(tmp_path / "file" / "home"), MACHINE, lambda step: None)
    assert "cannot be written" in caught.value.message and "TUNESMITH_HOME" in caught.value.hint
    assert child.starts() == []


def test_the_machine_has_the_devices_that_were_seen_when_it_was_measured(child: Child, home: Home) -> None:
    assert measuring.merged(home, MACHINE) == MACHINE, "never measured: as found without the engine"
    measuring.measure(home, MACHINE, lambda step: None)
    intel, processor = measuring.merged(home, MACHINE).devices
    assert (intel.kind, intel.memory_bytes) == ("xpu", 12_000_000_000)
    assert intel.memory_free_bytes == 0, "what was free then is not what is free now"
    assert processor == PROCESSOR


def test_the_devices_can_be_asked_for_alone(child: Child) -> None:
    assert measuring.surface_now().devices[0].memory_free_bytes == 11_000_000_000
    assert "--devices" in child.starts()[0]
