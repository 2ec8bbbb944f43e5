"""A model of a hub through its whole life: pulled and trained by a job, resumed offline, checked, removed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_models import ID, environment
from hub_server import FakeHub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GUARD = Path(__file__).parents[1] / "fakes" / "socket_guard"
NEVER = {"pytorch_model.bin": b"\x80\x04canary", "modeling_tiny.py": b"raise SystemExit\n"}
EPOCHS = 20


class Person:
    """Who types commands, online or behind the socket guard."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.given = environment(folder, url, NO_COLOR="1", OMP_NUM_THREADS="1")
        self.connections = folder / "connections.log"

    def go_offline(self) -> None:
        paths = [str(GUARD), self.given.get("PYTHONPATH", "")]
        self.given |= {
            "TUNESMITH_OFFLINE": "1", "SOCKET_GUARD_LOG": str(self.connections),
            "PYTHONPATH": ":".join(filter(None, paths)),
        }  # fmt: skip

    def types(self, *words: str, code: int = 0) -> dict[str, Any]:
        command = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", *words, "--json"]
        done = subprocess.run(command, env=self.given, capture_output=True, text=True, timeout=600, cwd=self.folder)
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        value = json.loads(done.stdout.splitlines()[-1])
        assert isinstance(value, dict)
        return value


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, starter_tokenizer_folder: Path) -> dict[str, bytes]:
    """A model with random weights and the starter's tokenizer, as a hub has it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("repository")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, bos_token_id=1, eos_token_id=2, pad_token_id=2, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    files = {path.name: path.read_bytes() for place in (folder, starter_tokenizer_folder) for path in place.iterdir()}
    return files | NEVER


@pytest.fixture
def person(tmp_path: Path, repository: dict[str, bytes]) -> Iterator[Person]:
    with FakeHub(ID, repository, "model").serve() as hub:
        found = Person(tmp_path, hub.url)
        yield found
        found.types("daemon", "stop")


def recipe(folder: Path) -> str:
    rows = [{"messages": [{"role": "user", "content": f"Say {n}."}, {"role": "assistant", "content": f"It is {n}."}]}
            for n in range(8)]  # fmt: skip
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {
        "name": "of-a-hub", "model": {"source": ID}, "data": {"train": "rows.jsonl"},
        "training": {"epochs": EPOCHS, "batch_size": 4, "save_steps": 1, "device": "cpu"},
        "evaluation": {"answers": 0, "general": False}, "exports": ["adapter"],
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(json.dumps(values))
    return "recipe.yaml"


def test_a_model_of_a_hub_from_the_recipe_to_its_removal(person: Person) -> None:
    run = str(person.types("run", recipe(person.folder))["run"])
    deadline = time.monotonic() + 400
    while (view := person.types("jobs", "show", run))["checkpoint"] is None:
        assert view["state"] in ("queued", "running"), view
        assert time.monotonic() < deadline
        time.sleep(0.5)
    pulled = view["base"]["source"]
    assert pulled.startswith(f"modelscope:{ID}@")
    assert not any((Path(view["base"]["folder"]) / name).exists() for name in NEVER)
    refused = person.types("models", "remove", ID, "--yes", code=1)
    assert refused["error"]["code"] == "model_in_use"
    person.types("jobs", "cancel", run)
    while person.types("jobs", "show", run)["state"] not in ("cancelled", "finished"):
        time.sleep(0.3)
    person.types("daemon", "stop")

    person.go_offline()
    person.types("resume", run, "--wait")
    view = person.types("jobs", "show", run)
    assert (view["state"], view["base"]["source"]) == ("finished", pulled)
    assert view["resumed"] is not None
    (listed,) = person.types("models", "list")["models"]
    assert (listed["source"], listed["used_by"]) == (pulled, [int(run)])
    assert person.types("models", "verify")["damaged"] == 0
    weights = Path(listed["folder"]) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (damaged,) = person.types("models", "verify", ID, code=1)["models"]
    assert damaged["damaged"] and damaged["mend"] == f"tunesmith models pull modelscope:{ID}"
    assert person.types("models", "pull", "other/model", code=1)["error"]["code"] == "offline"
    assert person.types("models", "remove", ID, "--yes")["freed_bytes"] > 6_000_000
    assert person.types("models", "list")["models"] == []
    assert not person.connections.exists(), person.connections.read_text()
