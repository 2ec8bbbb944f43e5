"""Files of a small model as hubs hold them, without an engine: real safetensors, and what must never be fetched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ID = "tunesmith/tiny-model"
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 96,
    "max_position_embeddings": 128, "tie_word_embeddings": True,
}  # fmt: skip
NEEDED = ("LICENSE", "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
          "tokenizer_config.json")  # fmt: skip


def safetensors(name: str = "model.embed_tokens.weight", rows: int = 96, fill: bytes = b"\x3c\x00") -> bytes:
    """One tensor in float16."""
    header = json.dumps({name: {"dtype": "F16", "shape": [rows, 32], "data_offsets": [0, rows * 64]}}).encode()
    return len(header).to_bytes(8, "little") + header + fill * (rows * 32)


def files() -> dict[str, bytes]:
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "generation_config.json": b'{"eos_token_id": 2}',
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b'{"chat_template": "{{ messages }}"}',
        "model.safetensors": safetensors(rows=4096),
        "README.md": b"# Tiny\n",
        "LICENSE": b"Apache-2.0\n",
        "pytorch_model.bin": b"\x80\x04canary",
        "modeling_tiny.py": b"raise SystemExit('code of a repository ran')\n",
        "consolidated.safetensors": safetensors(),
        "optimizer.pt": b"\x80\x04canary",
        "original/model.safetensors": safetensors(),
        ".gitattributes": b"*.bin filter=lfs\n",
    }  # fmt: skip


def environment(folder: Path, url: str, **more: str) -> dict[str, str]:
    """Of a person whose home is `folder` and whose hubs are both at `url`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MODELSCOPE_"))}
    own = {
        "HF_ENDPOINT": url, "MODELSCOPE_ENDPOINT": url, "HOME": str(folder), "NO_PROXY": "*",
        "HF_HOME": str(folder / "hf"), "MODELSCOPE_HOME": str(folder / "ms"),
        "MODELSCOPE_CACHE": str(folder / "ms-cache"), "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "1",
        "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "1", "TUNESMITH_HOME": str(folder / "home"),
    }  # fmt: skip
    return kept | own | more


def hubs(environment: dict[str, str], *arguments: str) -> list[dict[str, Any]]:
    """What `python -m tunesmith.daemon.hubs` says, message by message."""
    command = [sys.executable, "-m", "tunesmith.daemon.hubs", arguments[0], "--json-progress", *arguments[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
