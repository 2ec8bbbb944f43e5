"""What the service of a home is called, where it is written down, and what of the environment it keeps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tunesmith.daemon.api.home import Home

# What changes where things come from or which device is seen; a service begins with next to nothing of a shell's.
CARRIED = (
    "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "MODELSCOPE_CACHE", "MODELSCOPE_DOMAIN",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
)  # fmt: skip


class Place(msgspec.Struct, frozen=True):
    """The manager's name for the service, and its file."""

    name: str
    file: Path


def suffix(home: Home) -> str:
    """Empty for the usual home; else something of its own, so that two homes have two services."""
    if home.root == Path("~/.local/share/tunesmith").expanduser().resolve():
        return ""
    return "-" + hashlib.sha256(os.fsencode(home.root)).hexdigest()[:8]


def environment(home: Home, given: Mapping[str, str]) -> dict[str, str]:
    """For the service: the home always; tokens never, the hubs' own log-ins are files."""
    kept = {key: given[key] for key in CARRIED if key in given}
    ours = {key: value for key, value in given.items() if key.startswith("TUNESMITH_")}
    return kept | ours | {"TUNESMITH_HOME": str(home.root)}
