"""Tools that have an environment of their own: when one is whole, and whether this machine has it already."""

from __future__ import annotations

from pathlib import Path

from tunesmith.daemon.api.home import Home

WHOLE = "whole.json"  # written last: without it an environment is not used, but made anew


def is_whole(folder: Path) -> bool:
    return (folder / WHOLE).is_file() and (folder / "bin" / "python").exists()


def is_here(home: Home, tool: str) -> bool:
    """One that was made beside other versions of our packages counts too: it is made anew when it is used."""
    return any(map(is_whole, home.environments.glob(f"{tool}-*")))
