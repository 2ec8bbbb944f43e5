"""A disk that fills up: a typed error, nothing lost, and all well once there is room, without a restart."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_process import DaemonProcess

from tunesmith.recipes.errors import TunesmithError


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path: Path) -> None:
    with pytest.raises(OSError), path.open("wb", buffering=0) as ballast:
        while ballast.write(b"x" * 1000) == 1000:
            pass
        raise OSError


async def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    daemon = DaemonProcess(small_disk / "home")
    await daemon.start()
    await daemon.submit("steps=3")
    await daemon.until(1, "finished")
    fill(small_disk / "ballast")
    for _ in range(2):
        with pytest.raises(TunesmithError) as refused:
            await daemon.submit("steps=3", key="once")
        assert refused.value.code == "disk_full"
    assert await daemon.client.healthy()
    (small_disk / "ballast").unlink()
    view = await daemon.submit("steps=3", key="once")
    assert view.id == 2
    await daemon.until(2, "finished")
    await daemon.tidy()
