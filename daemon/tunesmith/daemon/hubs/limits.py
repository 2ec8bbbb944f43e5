"""How a download goes about its work: sizes and waiting times, each with its reason."""

from __future__ import annotations

import os

import msgspec

from tunesmith.recipes.errors import MachineError

CONNECTIONS_VARIABLE = "TUNESMITH_DOWNLOAD_CONNECTIONS"
MOST_CONNECTIONS = 16  # hubs answer 429 to more


class Limits(msgspec.Struct, frozen=True):
    """Bytes and seconds."""

    piece_bytes: int = 32 << 20  # one request each: small enough to be fetched again, large beside a round trip
    journal_bytes: int = 1 << 20  # what a killed process loses at most of each connection
    connections: int = 4  # the storage behind hubs gives one connection only a share of a fast line
    connect_s: float = 10.0
    stall_s: float = 30.0  # a connection that delivers nothing for so long is given up
    slow_window_s: float = 10.0  # the time over which a connection's speed is judged
    patience_s: float = 120.0  # without a new byte on any connection; then the person is told
    asked_patience_s: float = 600.0  # the same where the hub itself says how long to wait: they count in five minutes
    first_pause_s: float = 0.5  # before the second try; doubled with each further one
    longest_pause_s: float = 30.0


def from_environment() -> Limits:
    """Raises MachineError when the environment asks for something that is no number of connections."""
    given = os.environ.get(CONNECTIONS_VARIABLE, "")
    if not given:
        return Limits()
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= MOST_CONNECTIONS:
        raise MachineError(
            f"{CONNECTIONS_VARIABLE} is '{given[:20]}'",
            f"Set it to a number from 1 to {MOST_CONNECTIONS}, or remove it: {Limits().connections} is the default.",
            "bad_setting",
        )
    return Limits(connections=int(given))
