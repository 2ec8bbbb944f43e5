"""The starter's real tokenizer and chat template in a folder, as a model has them."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def starter_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import gguf

    from tunesmith.daemon.worker import fetch, starter

    folder = tmp_path_factory.mktemp("models") / "starter-tokenizer"
    folder.mkdir()
    reader = gguf.GGUFReader(fetch.starter_gguf())
    starter.write_tokenizer({key: field.contents() for key, field in reader.fields.items()}, folder)
    return folder
