"""Rows and folders brought together when the database is opened: the half done ended or undone, the lost restored."""

from __future__ import annotations

import logging

from tunesmith.daemon import job_folder, restore
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.report import Finding
from tunesmith.daemon.restore import Lost
from tunesmith.recipes.errors import TunesmithError

log = logging.getLogger("tunesmith.store")


def folders(home: Home, known: set[int], removed: set[int]) -> tuple[list[Finding], dict[int, Lost]]:
    """What was found and done, and the jobs whose row was lost, for the rows of `known` and `removed` jobs."""
    found: list[Finding] = []
    lost: dict[int, Lost] = {}
    for number in job_folder.staged_numbers(home):
        try:
            found.append(_submitted(home, number, number in known))
        except OSError as error:
            found.append(_left(home, number, error))
    for number in job_folder.numbers(home):
        try:
            if number in known:
                found += _kept(home, number)
            elif number in removed or (home.job(number) / job_folder.REMOVED).exists():
                job_folder.discard(home.job(number))
                text = f"The folder of job {number} was still there; the job was removed before"
                found.append(Finding("cleaned", text, path=str(home.job(number))))
            elif (row := restore.read(home, number)) is not None:
                lost[number] = row
                text = f"Job {number} was not in the database; it is listed again from its folder"
                found.append(Finding("restored", text, number, str(home.job(number))))
            else:
                text = f"The folder {home.job(number)} has no recipe that can be read; it was left as it is"
                found.append(Finding("left", text, path=str(home.job(number))))
        except (OSError, TunesmithError) as error:
            found.append(_left(home, number, error))
    for finding in found:
        log.info("%s", finding.text)
    return found, lost


def _submitted(home: Home, number: int, committed: bool) -> Finding:
    """A daemon died while this job was submitted."""
    folder = job_folder.staged(home, number)
    if committed:
        job_folder.settle(home, number)
        return Finding("repaired", f"Job {number} was accepted just before the daemon ended; it is whole", number)
    job_folder.discard(folder)
    return Finding("cleaned", "A job was being submitted when the daemon ended, and not accepted", path=str(folder))


def _kept(home: Home, number: int) -> list[Finding]:
    """A job whose removal was asked for and never confirmed is not removed."""
    if not (home.job(number) / job_folder.REMOVED).exists():
        return []
    job_folder.unmark(home, number)
    return [
        Finding("repaired", f"Job {number} was about to be removed when the daemon ended; it is still there", number)
    ]


def _left(home: Home, number: int, error: Exception) -> Finding:
    text = f"The folder of job {number} could not be dealt with: {error}"
    return Finding("left", text, path=str(home.job(number)))
