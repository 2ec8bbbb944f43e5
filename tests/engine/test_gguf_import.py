"""A GGUF file becomes a model folder of the cache, in a process of its own; what cannot be unpacked is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_models import environment

from tunesmith.daemon import publish
from tunesmith.daemon.worker import fetch


def unpacked(folder: Path, file: Path, name: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tunesmith.daemon.worker.unpack", "import", "--json-progress", "--name", name]
    given = environment(folder, "http://127.0.0.1:9", TUNESMITH_OFFLINE="1", OMP_NUM_THREADS="1")
    done = subprocess.run([*command, "--", str(file)], env=given, capture_output=True, text=True, timeout=280)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_gguf_is_unpacked_under_a_name_with_the_tokenizer_of_llama_cpp(tmp_path: Path) -> None:
    *progress, last = unpacked(tmp_path, fetch.starter_gguf(), "mine")
    assert last["type"] == "pulled", last
    assert progress and all(message["type"] in ("downloading", "checking") for message in progress)
    assert (last["model"]["hub"], last["model"]["repository"], last["model"]["unpacked"]) == ("local", "mine", True)
    folder = Path(last["folder"])
    publish.verify_folder(folder)
    assert fetch.local(folder) == folder
    assert list((tmp_path / "home" / "models" / "partial").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "code"), [(b"GGUF" + bytes(40), "model_files"), (b"not one", "model_files"), (b"", "model_files")]
)
def test_what_is_no_gguf_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(content)
    (last,) = unpacked(tmp_path, file, "x")
    assert (last["type"], last["code"]) == ("failed", code)
