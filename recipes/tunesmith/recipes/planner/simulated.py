"""Simulated: the place of a machine one does not sit at, with its maker's rates or those measured on it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.recipes.machine import known
from tunesmith.recipes.measured import Measured
from tunesmith.recipes.planner.place import Place, place_of


def simulated(key_or_path: str, device: str = "auto") -> Place:
    """Of a known key (`known.keys()`) or a file that `tunesmith doctor --json` wrote. Raises MachineError."""
    machine = known.load(key_or_path)
    place = place_of(machine, measured_in(key_or_path), device)
    return place if place.measured else with_rates(place)


def with_rates(place: Place) -> Place:
    """`place` with its maker's rates where nobody measured any and the device is a known one."""
    row = next((one for one in known.all_known().values() if plain(one.name) == plain(place.name)), None)
    if row is None or place.flops or place.device == "cpu":
        return place
    rates = {"float32": row.fp32_flops, "bfloat16": row.bf16_flops}
    return msgspec.structs.replace(
        place,
        flops={dtype: rate for dtype, rate in rates.items() if rate},
        memory_bandwidth=row.bandwidth_bytes,
    )


def plain(name: str) -> str:
    """Without the maker's name, which drivers leave out at times."""
    return name.lower().removeprefix("nvidia ").strip()


def measured_in(key_or_path: str) -> Measured | None:
    """What was measured, where the file says it."""
    path = Path(key_or_path)
    if path.suffix == ".toml" or not path.is_file():
        return None
    said = msgspec.json.decode(path.read_bytes())  # it was read as a machine before
    found = said.get("measured") if isinstance(said, dict) else None
    try:
        return msgspec.convert(found, Measured) if found else None
    except msgspec.ValidationError:  # of another version: without rates it is still a machine
        return None
