"""A job's folder: whole before its job is accepted, marked before its job is removed: a crash leaves no doubt.

`.new-7` becomes `7` once the row of job 7 is committed. So a folder `7` without a row is a job whose row was lost,
unless it bears the mark `removed`, which is written before the row goes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from tunesmith.daemon import submitted
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.publish import write_whole
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.spec import JobSpec, to_yaml

STAGED = ".new-"
REMOVED = "removed"


def begins_with(home: Home, spec: JobSpec) -> int | None:
    """The job whose artifacts `spec` begins with, to export, to evaluate or to train on; None where it is none here."""
    given = spec.of or spec.training.start_from or spec.model.source  # a model is one where a merge is trained on
    return None if given is None else _number(home, given)


def taken_beside(home: Home, spec: JobSpec) -> tuple[int, ...]:
    """The other jobs whose artifacts it takes: of a merge, those of its adapters; or its base, where that was made."""
    found = (_number(home, path) for path in (spec.model.source, *(one.path for one in spec.adapters)))
    return tuple(sorted({number for number in found if number is not None} - {begins_with(home, spec)}))


def _number(home: Home, path: str) -> int | None:
    """The job in whose folder `path` is."""
    jobs = home.job(0).parent
    if not Path(path).is_relative_to(jobs):
        return None
    number = Path(path).relative_to(jobs).parts[:1]
    return int(number[0]) if number and number[0].isdecimal() else None


def staged(home: Home, job_id: int) -> Path:
    return home.job(job_id).with_name(f"{STAGED}{job_id}")


def make(home: Home, job_id: int, spec: JobSpec, said: Submitted) -> Path:
    """All that a job begins with, on the disk, under a name that nobody takes for a job's. Raises OSError."""
    folder = staged(home, job_id)
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt at this that failed
    first = not folder.parent.exists()
    private_folder(folder)
    write_whole(folder / "spec.json", msgspec.json.format(msgspec.json.encode(spec)))
    write_whole(folder / "recipe.yaml", to_yaml(spec).encode())
    submitted.write(folder, said)
    _sync(folder.parent)  # its files are safe by now, its name is only with this
    if first:
        _sync(home.root)
    return folder


def settle(home: Home, job_id: int) -> None:
    """Its row is committed: the folder gets its name. Raises OSError."""
    os.rename(staged(home, job_id), home.job(job_id))
    _sync(home.job(job_id).parent)


def mark(home: Home, job_id: int) -> None:
    """From here on a folder without a row is one to be removed. Raises OSError."""
    if home.job(job_id).is_dir():
        write_whole(home.job(job_id) / REMOVED, b"")


def unmark(home: Home, job_id: int) -> None:
    (home.job(job_id) / REMOVED).unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove the folder, if it is there. Raises OSError."""
    if folder.exists():
        shutil.rmtree(folder)
        _sync(folder.parent)


def numbers(home: Home) -> list[int]:
    """Of all folders that bear a job's name, lowest first."""
    return sorted(int(path.name) for path in home.job(0).parent.glob("*") if path.name.isdecimal())


def staged_numbers(home: Home) -> list[int]:
    """Of the folders of jobs that were being submitted when a daemon died."""
    found = (path.name.removeprefix(STAGED) for path in home.job(0).parent.glob(f"{STAGED}*"))
    return sorted(int(number) for number in found if number.isdecimal())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
