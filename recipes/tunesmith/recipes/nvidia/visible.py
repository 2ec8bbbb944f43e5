"""Which devices CUDA shows a process: CUDA_VISIBLE_DEVICES, read as CUDA reads it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Present(msgspec.Struct, frozen=True):
    """A GPU or MIG instance that is here: the number and UUID of its GPU, and its own UUID (a GPU's is the same)."""

    gpu: int
    gpu_uuid: str | None
    uuid: str | None


class Shown(msgspec.Struct, frozen=True):
    """`places` point into what is present, in CUDA's order; `wrong` is what is wrong with the setting, if anything."""

    places: tuple[int, ...]
    wrong: str = ""


def shown(present: Sequence[Present], setting: str | None) -> Shown:
    """`setting` is the variable's value, None when it is not set.

    CUDA stops at the first part that names nothing, so that `0,-1,1` shows GPU 0 alone; a part that comes twice shows
    no device at all. The start of a UUID is enough when it fits one GPU only.
    """
    if setting is None:
        return Shown(tuple(range(len(present))))
    places: list[int] = []
    for part in (part.strip() for part in setting.split(",")):
        named = _named(present, part)
        if not named:
            meant = part in ("", "-1")  # how people hide what is left
            return Shown(tuple(places), "" if meant else f"there is no {part!r}")
        if set(named) & set(places):
            return Shown((), f"{part!r} is named twice")
        places += named
    return Shown(tuple(places))


def _named(present: Sequence[Present], part: str) -> list[int]:
    """Places of the device that `part` names; of all instances of a GPU that is divided."""
    if part.startswith("MIG-"):
        fits = [place for place, device in enumerate(present) if (device.uuid or "").startswith(part)]
        return fits if len(fits) == 1 else []
    if part.startswith("GPU-"):
        gpus = {device.gpu for device in present if (device.gpu_uuid or "").startswith(part)}
    else:
        gpus = {int(part)} if part.isdecimal() else set()
    return [place for place, device in enumerate(present) if device.gpu in gpus] if len(gpus) == 1 else []
