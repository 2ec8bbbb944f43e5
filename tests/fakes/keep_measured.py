"""`python keep_measured.py`: figures as if this machine had been measured, so that a doctor need not do it.

Torch is said to offer the NVIDIA GPUs that NVML shows, and nothing else.
"""

from __future__ import annotations

import msgspec
from measuring_child import MEASURED

from tunesmith.daemon.api import measuring
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.recipes import machine
from tunesmith.recipes.measured import Surface, TorchDevice

if __name__ == "__main__":
    home = Home.find()
    private_folder(home.root)
    found = machine.detect(home.root)
    gpus = tuple(TorchDevice("cuda", device.name) for device in found.devices if device.kind == "cuda")
    measuring.keep(home, found, msgspec.structs.replace(MEASURED, surface=Surface(gpus)))
