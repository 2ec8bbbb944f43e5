"""What a shell offers after tab: runs, models, data sets; read from files alone, the daemon is never asked."""

from __future__ import annotations

RUNS_OFFERED = 30  # the newest; more is no help in a shell
Offered = list[tuple[str, str]]  # (what is completed, what is said of it)


def runs(incomplete: str) -> Offered:
    """Numbers with the names of their recipes, newest first, and `last`."""
    import contextlib

    import msgspec

    from tunesmith.daemon.api.home import Home

    class Named(msgspec.Struct):
        name: str = ""

    jobs = Home.find().root / "jobs"
    numbers = sorted((int(p.name) for p in jobs.iterdir() if p.name.isdigit()), reverse=True) if jobs.is_dir() else []
    offered = [("last", "")]
    for number in numbers[:RUNS_OFFERED]:
        name = ""
        with contextlib.suppress(OSError, msgspec.DecodeError):  # being written or removed: its number is enough
            name = msgspec.json.decode((jobs / str(number) / "spec.json").read_bytes(), type=Named).name
        offered.append((str(number), " ".join(name.split())))
    return beginning(incomplete, offered)


def models(incomplete: str) -> Offered:
    """The starter, and the catalogue's names."""
    from tunesmith.recipes.models.catalogue import catalogue

    return beginning(incomplete, [("starter", ""), *((entry.key, entry.license) for entry in catalogue())])


def data_sets(incomplete: str) -> Offered:
    from tunesmith.recipes.data import public_sets

    return beginning(incomplete, [(key, found.title) for key, found in public_sets.sets().items()])


def beginning(incomplete: str, offered: Offered) -> Offered:
    return [pair for pair in offered if pair[0].startswith(incomplete)]
