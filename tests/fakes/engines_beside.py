"""Doubles of vLLM, SGLang and LMDeploy as pip installs them: a command whose first line names its Python."""

from __future__ import annotations

import json
import stat
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from tunesmith.daemon.serving.lines import Share

GB = 10**9
FAKES = Path(__file__).parent
SHARE = Share("cuda", weights=4 * GB, cache=2 * GB, rest=3 * GB, whole=24 * GB, free=20 * GB)


def install(folder: Path, name: str) -> Path:
    """The command `name` in `folder`, which runs `fake_NAME.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / name
    command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(FAKES)!r})\nimport fake_{name}\n"
        f"if __name__ == '__main__':\n    sys.exit(fake_{name}.main())\n"
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return command


def model_folder(folder: Path, tokenizer: Path) -> Path:
    """A folder as a model has it, with the starter's tokenizer and no weights: the doubles have those themselves."""
    folder.mkdir(parents=True)
    for file in tokenizer.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152,
        "max_position_embeddings": 8192, "eos_token_id": 2, "bos_token_id": 1, "tie_word_embeddings": True,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def adapter_folder(folder: Path, rank: int = 12) -> Path:
    """A LoRA adapter in peft's format, with a setting that names code; its weights are never read."""
    folder.mkdir(parents=True)
    said = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "target_modules": ["q_proj"], "auto_mapping": {"x": "y"}}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    (folder / "adapter_model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return folder


def share_option(share: Share = SHARE) -> str:
    return msgspec.json.encode(share).decode()


class Record:
    """What doubles wrote down of how they were started and what they were asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self, key: str) -> list[dict[str, Any]]:
        text = self.path.read_text() if self.path.exists() else ""
        return [found for line in text.splitlines() if key in (found := json.loads(line))]

    def until(self, key: str, count: int = 1) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 60
        while len(found := self.lines(key)) < count:
            assert time.monotonic() < deadline, f"no double wrote down {key}"
            time.sleep(0.02)
        return found

    @property
    def pids(self) -> list[int]:
        return [found["pid"] for found in self.lines("started")]

    def gone(self, within_s: float = 30) -> bool:
        """Whether every double has ended by then; a busy machine takes its time."""
        deadline = time.monotonic() + within_s
        while any(map(lives, self.pids)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
