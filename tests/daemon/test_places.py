"""Where everything lies and what it takes: a file with two names counts once, what is not there counts as nothing."""

from __future__ import annotations

import os
from pathlib import Path

from tunesmith.daemon.api import places
from tunesmith.daemon.api.home import Home


def test_blobs_with_several_names_count_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    blob = home.models / "blobs" / "9f"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(os.urandom(100_000))
    os.link(blob, home.models / "model.safetensors")
    os.symlink(blob, home.models / "link")
    found = {place.key: place for place in places.measured(home)}
    assert found["models"].bytes is not None and 100_000 <= found["models"].bytes < 150_000
    assert found["home"].bytes is not None and found["home"].bytes >= found["models"].bytes
    assert found["settings"].bytes is None
    assert found["socket"].path == str(home.socket)


def test_what_cannot_be_looked_at_does_not_stop_the_count(tmp_path: Path) -> None:
    assert places.bytes_on_disk(tmp_path / "nowhere") == 0
