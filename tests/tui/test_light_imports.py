"""The wizard starts at once: no engine is loaded, and the first paint needs no network library."""

from __future__ import annotations

import subprocess
import sys

SCREENS = ("ask", "chat", "compare", "copy", "data", "goal", "help", "jobs", "machine", "machines", "merge", "model",
           "models", "pick", "public_sets", "recipe", "result", "run", "save", "settings", "wizard",
           "yaml_view")  # fmt: skip


def modules_after(code: str) -> set[str]:
    code += "\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_app_and_all_screens_load_no_engine() -> None:
    imports = "\n".join(f"import tunesmith.tui.screens.{name}" for name in SCREENS)
    loaded = modules_after(f"import tunesmith.tui.app\n{imports}")
    engines = {"torch", "transformers", "peft", "trl", "datasets", "llama_cpp", "numpy", "pyarrow", "tokenizers"}
    assert loaded.isdisjoint(engines)
    assert "tunesmith.tui.screens.run" in loaded


def test_the_first_paint_needs_no_http() -> None:
    loaded = modules_after("import tunesmith.tui.app, tunesmith.tui.screens.machine")
    assert loaded.isdisjoint({"httpx", "httpx_sse", "starlette", "psutil"})
