"""What the machine's device cannot do is refused when a job is submitted, not when it runs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.server import check
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.machine import Device, Machine, detect
from tunesmith.recipes.spec import JobSpec, TrainingSpec


def machine_with(kind: str) -> Machine:
    return msgspec.structs.replace(detect(), devices=(Device(kind, "a device", 10**10, 10**10),))


def test_a_device_that_is_chosen_by_the_machine_is_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = JobSpec(training=TrainingSpec(optimizer="paged_adamw_8bit"))
    monkeypatch.setattr(check, "detect", lambda folder: machine_with("cuda"))
    assert check.acceptable(spec, Home(tmp_path), 0).training.optimizer == "paged_adamw_8bit"
    monkeypatch.setattr(check, "detect", lambda folder: machine_with("cpu"))
    with pytest.raises(RecipeError, match="does not run on cpu") as caught:
        check.acceptable(spec, Home(tmp_path), 0)
    assert "cuda" in caught.value.hint
    monkeypatch.setattr(check, "detect", lambda folder: machine_with("mps"))
    with pytest.raises(RecipeError, match="nf4 does not run on mps"):
        check.acceptable(JobSpec(quantization="nf4"), Home(tmp_path), 0)
