"""`python tests/faults/mutants.py`: removes one rule at a time in a copy of the tree; a row must go red for each.

A rule whose removal turns no test red does not exist. Ends with 1 when a mutant survives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
DAEMON = "daemon/tunesmith/daemon"
LIMIT_S = 600.0  # a mutant that hangs a row has been noticed too


class Mutant(msgspec.Struct, frozen=True):
    """In `file` the text `old`, which is there once, becomes `new`; then `row` must fail."""

    name: str
    file: str
    old: str
    new: str
    row: str


SAME = "    return bool(abs(process.create_time() - record.start_time) <= START_TIME_TOLERANCE_S)"
STAGED = 'staged = path.with_name(f".{path.name}{_MARK}{os.getpid()}")\n'
GUARD = "record.group <= 1 or record.group == os.getpgrp() or record.boot != boot()"
MUTANTS = (
    Mutant(
        "fsync of the folder", f"{DAEMON}/api/whole_files.py",
        "    try:\n        os.fsync(handle)\n", "    try:\n        pass\n",
        "tests/faults/test_power_cut.py",
    ),
    Mutant(
        "FULL to NORMAL", f"{DAEMON}/database.py", '"synchronous = FULL"', '"synchronous = NORMAL"',
        "tests/faults/test_power_cut.py",
    ),
    Mutant(
        "rename to direct write", f"{DAEMON}/publish.py",
        STAGED, "staged = path\n",
        "tests/faults/test_killed_toy_workers.py -k any_write",
    ),
    Mutant(
        "peer check", f"{DAEMON}/server/acceptor.py",
        "    return peer_uid(connection) == os.getuid()", "    return True",
        "tests/faults/test_other_users.py -k no_obstacle",
    ),
    Mutant(
        "manifest check", f"{DAEMON}/publish.py", "    if found != recorded.sha256:", "    if False:",
        "tests/faults/test_killed_toy_workers.py -k flipped",
    ),
    Mutant(
        "epoch check", f"{DAEMON}/publish.py", "        if self.epoch < newest:", "        if False:",
        "tests/faults/test_stopped_workers.py -k epoch",
    ),
    Mutant(
        "group-kill guard", f"{DAEMON}/recovery.py", GUARD, "record.boot != boot()",
        "tests/faults/test_signal_guards.py",
    ),
    Mutant(
        "start time of a pid", f"{DAEMON}/recovery.py", SAME, "    return True", "tests/faults/test_signal_guards.py",
    ),
    Mutant(
        "SHA-256 check", f"{DAEMON}/hubs/finishing.py",
        "    return digest == (file.sha256 or file.git_sha1 or digest)", "    return True",
        "tests/faults/test_hub_faults.py -k keep_coming",
    ),
    Mutant(
        "Host check", f"{DAEMON}/server/guard.py", "    if hosts != [HOST.encode()]:", "    if False:",
        "tests/faults/test_foreign_pages.py",
    ),
)  # fmt: skip


def text_of(mutant: Mutant) -> str:
    return (ROOT / mutant.file).read_text("utf-8")


def copied(into: Path) -> Path:
    """The tree as git knows it, with what is not committed yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def fails(tree: Path, row: str) -> tuple[bool, float]:
    """Whether the row goes red in that tree, and after how many seconds."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(tree / part) for part in ("tui", "daemon", "recipes")),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", *row.split()]
    began = time.monotonic()
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return True, time.monotonic() - began
    if done.returncode not in (0, 1):  # no test was run, for one
        raise SystemExit(f"{row} could not be run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 1, time.monotonic() - began


def main() -> int:
    asked = sys.argv[1:]
    survived = []
    for mutant in MUTANTS:
        if asked and not any(word in mutant.name for word in asked):
            continue
        with tempfile.TemporaryDirectory(prefix="tunesmith-mutant-") as folder:
            tree = copied(Path(folder))
            path = tree / mutant.file
            path.write_text(path.read_text("utf-8").replace(mutant.old, mutant.new), "utf-8")
            caught, seconds = fails(tree, mutant.row)
        print(
            f"{'caught' if caught else 'NOT CAUGHT':10}  {mutant.name:40}  {seconds:4.0f} s  {mutant.row}", flush=True
        )
        if not caught:
            survived.append(mutant.name)
    print("every mutant was caught" if not survived else f"not caught: {', '.join(survived)}")
    return bool(survived)


if __name__ == "__main__":
    sys.exit(main())
