"""Scenes for the double: what cards of these names say of themselves."""

from __future__ import annotations

SYSTEM = "driver 550.54.15\ncuda 12040\n"

T4 = """gpu
name Tesla T4
uuid GPU-7e1f0a44-0000-0000-0000-000000000000
total 16106127360
free 15628304384
capability 7 5
temperature 41
slowdown 93
reasons 0x1
power 9850
limit 70000
"""

RTX_3060 = """gpu
name NVIDIA GeForce RTX 3060
uuid GPU-30600000-0000-0000-0000-000000000000
total 12884901888
free 12327059456
capability 8 6
temperature 47
reasons 0x1
power 15300
limit 170000
"""

RTX_4090 = """gpu
name NVIDIA GeForce RTX 4090
uuid GPU-40900000-0000-0000-0000-000000000000
total 25757220864
free 25250000000
capability 8 9
temperature 38
reasons 0x1
power 21000
limit 450000
"""


def a100(number: int, *lines: str) -> str:
    return "\n".join(
        (
            "gpu",
            "name NVIDIA A100-SXM4-40GB",
            f"uuid GPU-a100000{number}-0000-0000-0000-000000000000",
            "total 42949672960",
            "free 42481549312",
            "capability 8 0",
            "temperature 33",
            "reasons 0x1",
            "power 52000",
            "limit 400000",
            "mig 0",
            *lines,
            "",
        )
    )


def h200(*lines: str) -> str:
    """One of 143.8 GB; `lines` say what is free and who holds the rest."""
    return "\n".join(
        (
            "gpu",
            "name NVIDIA H200",
            "uuid GPU-42000000-0000-0000-0000-000000000000",
            "total 150754820096",
            "capability 9 0",
            "temperature 52",
            "reasons 0x0",
            "power 310000",
            "limit 700000",
            "mig 0",
            *lines,
            "",
        )
    )


def divided(number: int, *profiles: tuple[str, int]) -> str:
    """An A100 with MIG on and an instance of each profile and its bytes, all but 20 MB of them free."""
    instances = [
        f"instance\nname NVIDIA A100-SXM4-40GB MIG {profile}\n"
        f"uuid MIG-{number}{part}000000-0000-0000-0000-000000000000\n"
        f"total {total}\nfree {total - 20_000_000}\n"
        for part, (profile, total) in enumerate(profiles)
    ]
    return a100(number, "mig 1") + "".join(instances)
