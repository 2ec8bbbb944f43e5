"""`python tests/fakes/download_child.py JSON`: fetches one file of a hub on the loopback, to be killed on the way."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tunesmith.daemon.hubs import HubFile, cards, download
from tunesmith.daemon.hubs.limits import Limits

REVISION = "5e" * 20


class Task(msgspec.Struct, frozen=True):
    hub: str
    url: str
    file: HubFile
    folder: str
    limits: Limits


def main(task: Task) -> None:
    hub = msgspec.structs.replace(
        cards()[task.hub], address=lambda *_: task.url, headers=lambda: {"Authorization": "Bearer of_a_person"}
    )
    download.fetch_files(
        hub, "owner/name", "model", REVISION, [task.file], Path(task.folder), lambda *_: None, task.limits
    )


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Task))
