"""The double of NVIDIA's library, compiled once a session, and scenes of GPUs shown through it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nvml_double
import pytest

from tunesmith.recipes.machine import Device, Warning

See = Callable[..., tuple[tuple[Device, ...], tuple[Warning, ...]]]


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_double.compiled(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def see(nvml_library: Path, tmp_path: Path) -> See:
    """`see(scene)` is what the NVIDIA backend finds in it, with a torch for `torch_cuda` and more environment."""

    def detect(
        scene: str, torch_cuda: str | None = "12.6", library: Path = nvml_library, **environment: str
    ) -> tuple[tuple[Device, ...], tuple[Warning, ...]]:
        file = tmp_path / "scene.txt"
        file.write_text(scene)
        torch = nvml_double.with_torch(tmp_path / f"torch-{torch_cuda}", torch_cuda)
        return nvml_double.detect(nvml_double.environment(library, file, torch, **environment))

    return detect
