"""What a hub says of a model: its config.json, license, whether it is gated, and how many parameters its files hold.

Fetched by the hubs' own client libraries; of weight files only the headers, by ranged reads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon.hubs import huggingface, modelscope, of_kind, refusals
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import headers, json_file, safetensors

HUGGINGFACE = of_kind(huggingface.CARD, "model")
MODELSCOPE = of_kind(modelscope.CARD, "model")


class Described(msgspec.Struct, frozen=True):
    """`parameters` is None where the files do not tell: no safetensors, or several weights packed into one number."""

    config: Mapping[str, Any]
    license: str
    gated: bool
    parameters: int | None


def at_huggingface(id: str) -> Described:
    """Raises TunesmithError."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    api = HfApi()
    counts: Mapping[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, huggingface.told(id, hub=HUGGINGFACE):
        info = api.model_info(id, timeout=huggingface.TIMEOUT_S)
        config = api.hf_hub_download(id, "config.json", revision=info.sha, local_dir=folder)
        if info.safetensors is not None:
            counts = info.safetensors.parameters
        else:
            with suppress(NotASafetensorsRepoError, SafetensorsParsingError):
                files = api.get_safetensors_metadata(id, revision=info.sha)
                counts = {str(dtype): count for dtype, count in files.parameter_count.items()}
        known = json_file.read(Path(config))
    license = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "")
    unpacked = counts and set(counts) <= safetensors.WEIGHTS
    return Described(known, license, bool(info.gated), sum(counts.values()) if unpacked else None)


def at_modelscope(id: str) -> Described:
    """Raises TunesmithError."""
    from modelscope_hub import HubApi

    api = HubApi()
    with tempfile.TemporaryDirectory() as folder, modelscope.told(id, hub=MODELSCOPE):
        info = api.get_repo(id, "model")
        files = [file.path for file in api.list_repo_files(id, "model", revision=modelscope.BRANCH)]
        config = api.download_file(id, "model", "config.json", local_dir=folder, cache_dir=folder)
        weights = [path for path in files if path.endswith(".safetensors") and headers.is_of_the_model(path)]
        tensors = [
            tensor
            for path in weights
            for tensor in header(api.legacy.get_download_url(id, "model", path, modelscope.BRANCH), path)
        ]
        known = json_file.read(config)
    stored = headers.counted(tensors, len(weights))
    return Described(known, info.license or "", bool(info.gated), stored.parameters if weights else None)


def header(url: str, path: str) -> tuple[safetensors.Tensor, ...]:
    """Of the safetensors file at `url`. Raises ModelError when it is none."""
    length = int.from_bytes(part(url, 0, safetensors.LENGTH_BYTES), "little")
    if length > safetensors.LONGEST_HEADER:
        raise safetensors.broken(path, f"its header should take {length} bytes")
    return safetensors.parse(part(url, safetensors.LENGTH_BYTES, length), path)


def part(url: str, start: int, length: int) -> bytes:
    """`length` bytes from `start` on. Raises TunesmithError when the hub sends anything else."""
    import requests

    wanted = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
    with requests.get(url, headers=wanted, timeout=huggingface.TIMEOUT_S, stream=True) as answer:
        if answer.status_code >= 400:
            raise refusals.by_status(MODELSCOPE, url, answer.status_code)
        if answer.status_code != 206:
            raise ModelError(f"{url} is sent whole only", "Its weights are too much to read; compare by hand.", "hub")
        return bytes(answer.raw.read(length))


HUBS: Mapping[str, Callable[[str], Described]] = {"huggingface": at_huggingface, "modelscope": at_modelscope}
