"""What an NVIDIA GPU does right now, through NVML: busy, filled, warm; cheap enough for every other second."""

from __future__ import annotations

import msgspec


class Gauge(msgspec.Struct, frozen=True):
    """`share` of the time in which it computed, 0 to 1; None for what the card does not say."""

    share: float | None = None
    used_bytes: int | None = None
    memory_bytes: int | None = None
    temperature_c: int | None = None
    power_watts: float | None = None


UNKNOWN = Gauge()


def read(uuid: str) -> Gauge | None:
    """Of the GPU or MIG instance `uuid`; None when it or its driver is gone."""
    import pynvml

    from tunesmith.recipes.nvidia.nvml import asked

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        card = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        rates, memory = asked(pynvml.nvmlDeviceGetUtilizationRates, card), asked(pynvml.nvmlDeviceGetMemoryInfo, card)
        power = asked(pynvml.nvmlDeviceGetPowerUsage, card)
        return Gauge(
            share=None if rates is None else rates.gpu / 100,
            used_bytes=None if memory is None else int(memory.total) - int(memory.free),
            memory_bytes=None if memory is None else int(memory.total),
            temperature_c=asked(pynvml.nvmlDeviceGetTemperature, card, pynvml.NVML_TEMPERATURE_GPU),
            power_watts=None if power is None else power / 1000,  # NVML counts milliwatts
        )
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
