"""What may import what: the layers by import-linter, the engine's absence by looking at real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = {"torch", "transformers", "peft", "trl", "datasets", "llama_cpp", "accelerate", "bitsandbytes", "modelscope"}
ENTRANCES = (
    "tunesmith.tui.app",
    "tunesmith.tui.cli.main",
    "tunesmith.daemon.__main__",
    "tunesmith.daemon.server.app",
    "tunesmith.daemon.api.client",
    "tunesmith.recipes",
    "tunesmith.recipes.spec",
)


def loaded_by(code: str) -> set[str]:
    """Top-level modules of a fresh process after `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_layers_point_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(linter)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_part_of_the_daemon_is_left_out_of_the_contracts() -> None:
    folder = ROOT / "daemon/tunesmith/daemon"
    parts = {path.stem for path in folder.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))} - {"__init__"}
    assert len(parts) >= 8
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    _, terminal_side, daemon_side = contracts
    assert set(terminal_side["forbidden_modules"]) == {f"tunesmith.daemon.{part}" for part in parts - {"api"}}
    assert set(daemon_side["source_modules"]) == {f"tunesmith.daemon.{part}" for part in parts - {"worker"}}


@pytest.mark.parametrize("module", ENTRANCES)
def test_no_entrance_loads_the_engine(module: str) -> None:
    assert loaded_by(f"import importlib; importlib.import_module({module!r})") & ENGINE == set()


def test_every_card_and_the_machine_are_known_without_the_engine() -> None:
    code = (
        "from tunesmith.recipes import exports, machine, methods, spec, tuners\n"
        "exports.cards(), methods.cards(), tuners.cards(), machine.detect(), spec.json_schema()"
    )
    assert loaded_by(code) & ENGINE == set()


def test_every_screen_and_command_loads_without_the_engine() -> None:
    code = (
        "import importlib, pkgutil, tunesmith.tui as package\n"
        "names = [info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + '.')]\n"
        "assert len(names) >= 20, names\n"
        "for name in names: importlib.import_module(name)"
    )
    assert loaded_by(code) & ENGINE == set()


def test_the_command_table_loads_no_screens() -> None:
    assert "textual" not in loaded_by("import tunesmith.tui.cli.main")


def test_importing_makes_no_folder_and_sets_no_environment(tmp_path: Path) -> None:
    code = (
        "import os; before = dict(os.environ)\n"
        "import tunesmith.tui.app, tunesmith.daemon.__main__, tunesmith.recipes.machine\n"
        "assert dict(os.environ) == before"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    assert list(home.iterdir()) == []
