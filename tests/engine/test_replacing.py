"""A folder that replaces another, ended at every moment: one of them is there whole, and nothing else is left."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.daemon import crash_points, publish, replacing

POINTS = ("publish.hashed", "publish.manifest_written", "publish.replaced", "publish.renamed")
REPLACE = """
import sys
from pathlib import Path
from tunesmith.daemon import publish, replacing
final, how = Path(sys.argv[1]), sys.argv[2]
if how == "in two steps":
    replacing.exchange = lambda one, other: False
with publish.staging(final) as staged:
    staged.mkdir()
    (staged / "new.bin").write_text("new")
    publish.publish_folder(staged, final)
"""


def publish_old(final: Path) -> None:
    with publish.staging(final) as staged:
        staged.mkdir()
        (staged / "old.bin").write_text("old")
        publish.publish_folder(staged, final)


@pytest.mark.parametrize("how", ["at once where the system can", "in two steps"])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_one(tmp_path: Path, point: str, how: str) -> None:
    final = tmp_path / "model"
    publish_old(final)
    environment = {"PYTHONPATH": ":".join(sys.path), crash_points.VARIABLE: point}
    ran = subprocess.run([sys.executable, "-c", REPLACE, str(final), how], env=environment, capture_output=True)
    crashes = point != "publish.replaced" or how == "in two steps" or not can_exchange(tmp_path)
    assert ran.returncode == (-signal.SIGKILL if crashes else 0), ran.stderr
    if final.exists():
        publish.verify_folder(final)
    publish.remove_staged(tmp_path)
    publish.verify_folder(final)
    wanted = "new.bin" if point == "publish.renamed" or not crashes else "old.bin"
    assert {path.name for path in final.iterdir()} == {publish.MANIFEST, wanted}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def can_exchange(folder: Path) -> bool:
    one, other = folder / "one", folder / "other"
    one.mkdir()
    other.mkdir()
    can = replacing.exchange(one, other)
    one.rmdir()
    other.rmdir()
    return can


def test_the_next_publish_settles_what_was_left_too(tmp_path: Path) -> None:
    publish_old(tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / ".model.replaced")
    publish_old(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_rename_that_fails_in_between_puts_the_old_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = tmp_path / "model"
    publish_old(final)
    monkeypatch.setattr(replacing, "exchange", lambda one, other: False)
    rename = replacing.os.rename

    def failing(source: Path, target: Path) -> None:
        if target == final and ".staged-" in Path(source).name:
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(replacing.os, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        publish_old(final)
    publish.verify_folder(final)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
