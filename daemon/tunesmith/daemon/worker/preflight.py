"""Before a stage that writes: whether what it and those after it leave fits on the disk, by the run's own forecast."""

from __future__ import annotations

from pathlib import Path

from tunesmith.daemon import disk, submitted
from tunesmith.daemon.worker.context import Context

WRITES = {"train": "checkpoints and exports need", "export": "the exports need"}


def look(context: Context, stage: str) -> None:
    """Hours of training are not begun where there is no room for what they come to. Raises MachineError (disk_full).

    One that a person forces is held to the stage at hand only.
    """
    if stage not in WRITES or context.plan is None:
        return
    forced = (context.job / submitted.FORCE).exists()
    counted = [stage] if forced else list(WRITES)[list(WRITES).index(stage) :]
    needed = sum(context.plan.forecast.stage(one).disk_bytes for one in counted)
    if stage == "train":  # an earlier attempt's checkpoints are replaced by this one's
        needed -= min(context.plan.forecast.stage(stage).disk_bytes, taken(context.checkpoints))
    hint = f"Free some space, then go on with `tunesmith resume {context.job.name}`."
    disk.refuse_full(context.job, needed, WRITES[stage], hint)


def taken(folder: Path) -> int:
    """Bytes of all files in `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
