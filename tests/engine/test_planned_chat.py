"""The forecast of a chat is held to llama.cpp with the starter: what is resident after a full context."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner.inference import chat

CHATTING = """
import sys
from pathlib import Path
from tunesmith.daemon.worker import resident
from tunesmith.daemon.worker.llama import Engine
from tunesmith.recipes.data.rendering import bounds
bounds.confine()
context = int(sys.argv[2])
with Engine(Path(sys.argv[1]), context_tokens=context) as engine:
    engine.answer(engine.tokenize("hello world " * context)[: context - 32], 8)
    print(resident.peak())
"""


@pytest.mark.parametrize("context", [512, 2048])
def test_what_llama_cpp_takes_is_what_was_forecast(context: int) -> None:
    from tunesmith.daemon.worker import fetch

    file = Path(fetch.starter_gguf())
    told = subprocess.run(
        [sys.executable, "-c", CHATTING, str(file), str(context)], capture_output=True, text=True, check=True
    )
    planned = chat(catalogue.find("smollm2-135m-instruct").facts, "q8_0", context)
    # The starter's file has a type of its own, smaller than those that are exported.
    planned = msgspec.structs.replace(planned, file=file.stat().st_size)
    assert planned.bytes == pytest.approx(int(told.stdout.split()[-1]), rel=0.12)
