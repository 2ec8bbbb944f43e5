"""Bytes, durations, counts and rates as a person reads them; no engine, no locale."""

from __future__ import annotations


def bytes_text(count: float) -> str:
    """`1536 -> '1.5 kB'`, decimal units as disks and GPUs are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration_text(seconds: float) -> str:
    """`75 -> '1:15'`, `3700 -> '1:01:40'`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def count_text(count: float) -> str:
    """`1234567 -> '1.2M'`."""
    for limit, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= limit:
            return f"{count / limit:.1f}{suffix}"
    return f"{count:.0f}"


def flops_text(per_second: float) -> str:
    """`1.95e11 -> '195 GFLOP/s'`."""
    for limit, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G")):
        if per_second >= limit:
            return f"{per_second / limit:.3g} {prefix}FLOP/s"
    return f"{per_second / 1e6:.3g} MFLOP/s"
