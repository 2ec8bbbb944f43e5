"""The measuring process measures this very machine, and what does not work is told and not raised."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch

from tunesmith.daemon.worker.machine import libraries
from tunesmith.recipes.measured import DTYPES, LIBRARIES, Doing, Measured, Surface

CHILD = [sys.executable, "-m", "tunesmith.daemon.worker.machine"]
Line = Doing | Measured | Surface


def lines(*arguments: str) -> list[Line]:
    done = subprocess.run([*CHILD, *arguments], capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    return [msgspec.json.decode(line, type=Line) for line in done.stdout.splitlines()]  # type: ignore[arg-type]


@pytest.mark.slow
def test_everything_is_measured_here_and_nothing_is_left_behind(tmp_path: Path) -> None:
    *doing, measured = lines(str(tmp_path))
    assert doing == [Doing(step) for step in ("devices", *DTYPES, "memory", "disk", *LIBRARIES)]
    assert isinstance(measured, Measured)
    assert measured.torch == torch.__version__
    assert set(measured.products) == set(DTYPES) and (measured.products["float32"].per_second or 0) > 1e9
    assert (measured.memory_copy.per_second or 0) > 1e8 and (measured.disk_write.per_second or 0) > 1e6
    assert measured.works["bitsandbytes"].works, measured.works["bitsandbytes"].why
    if shutil.which("g++"):
        compiled = measured.works["torch.compile"]
        assert compiled.works or "not compiled within" in compiled.why, compiled.why  # busy machines are slow
    if measured.device == "cpu":
        assert "training runs on cpu here" in measured.works["flash_attn"].why, "no kernels for processors"
    assert list(tmp_path.iterdir()) == [], "the file that the disk was measured with is gone"


def test_a_step_can_be_left_out_and_the_devices_asked_for_alone(tmp_path: Path) -> None:
    assert lines(str(tmp_path), "--devices", "--without", "devices") == [
        Surface(refused={"torch": "it ended the process that tried it"})
    ]


def test_a_disk_that_cannot_be_written_has_its_reason_and_the_rest_is_measured(tmp_path: Path) -> None:
    left_out = (word for step in (*DTYPES, *LIBRARIES) for word in ("--without", step))
    measured = lines(str(tmp_path / "not there"), *left_out)[-1]
    assert isinstance(measured, Measured)
    assert measured.disk_write.per_second is None and "No such file" in measured.disk_write.why
    assert measured.memory_copy.per_second, "one step that fails costs its own figure"
    assert {rate.why for rate in measured.products.values()} == {"it ended the process that tried it"}


def test_a_kernel_whose_numbers_are_wrong_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitsandbytes.nn.Linear4bit.forward", lambda self, x: (x * 0).sum() + x @ x.new_ones(256, 256))
    tried = libraries.attempt("bitsandbytes", "cpu")
    assert not tried.works and "its numbers are wrong" in tried.why, "that it ran without an error is not enough"


def test_a_gradient_of_nothing_but_nan_does_not_work() -> None:
    with pytest.raises(ArithmeticError, match="nan"):
        libraries.near(torch.full((3,), torch.nan), torch.ones(3), 0.1)


def test_a_package_that_is_not_installed_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    tried = libraries.attempt("bitsandbytes", "cpu")
    assert (tried.works, tried.why) == (False, "bitsandbytes is not installed")


def test_without_a_compiler_compiling_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    tried = libraries.attempt("torch.compile", "cpu")
    assert (tried.works, tried.why) == (False, "there is no C++ compiler (g++) on PATH")
    assert tried.seconds < 1


def test_compiling_that_takes_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "COMPILE_WITHIN_S", 0.5)
    monkeypatch.setattr(libraries.shutil, "which", lambda name: "/somewhere/" + name)
    tried = libraries.attempt("torch.compile", "cpu")
    assert not tried.works and "not compiled within" in tried.why
    assert tried.seconds < 5, "ended, not waited for"


@pytest.mark.slow
def test_what_a_broken_compiler_says_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    tried = libraries.attempt("torch.compile", "cpu")
    assert not tried.works
    assert "Error" in tried.why or "not compiled within" in tried.why, tried.why  # busy machines are slow
