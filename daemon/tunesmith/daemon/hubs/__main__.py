"""`python -m tunesmith.daemon.hubs get|pull|describe|search|verify|import`: one download in a process of its own.

It says what happens in lines of `daemon.api.downloads` on standard output; what the libraries print goes elsewhere.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from tunesmith.daemon.api import downloads, offline
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.hubs import model_commands, telling
from tunesmith.daemon.hubs.telling import Teller
from tunesmith.recipes.data import public_sets
from tunesmith.recipes.errors import DataError, TunesmithError, nearest

# Set before a client library is imported, unless the person did.
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "2",  # its four take 7 s to say that there is no network
    "TQDM_DISABLE": "1",  # their bars; ours is drawn from what this process says
}


def main(arguments: list[str]) -> int:
    given = parsed(arguments)
    teller = telling.alone(given.json_progress)
    if given.ends_with_parent:
        telling.end_with_parent()
    signal.signal(signal.SIGTERM, ended)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    home = Home.find()
    try:
        teller.say(given.act(given, home, teller))
    except TunesmithError as error:
        teller.say(downloads.DownloadFailed(error.code, error.message, error.hint))
        return 1
    except OSError as error:
        refused = telling.of_the_disk(error, getattr(given, "to", home.models))
        teller.say(downloads.DownloadFailed(refused.code, refused.message, refused.hint))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def ended(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM: the download stops where it is, with its connections closed and its journal written."""
    raise KeyboardInterrupt


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tunesmith.daemon.hubs", description=__doc__)
    commands = parser.add_subparsers(required=True)
    get = commands.add_parser("get", help="fetch a public data set")
    get.set_defaults(act=fetched)
    get.add_argument("key")
    get.add_argument("--to", type=Path, required=True, help="folder that the files go into")
    get.add_argument("--hub", default="", help="modelscope or huggingface; the set's first one by default")
    model_commands.add(commands)
    for command in commands.choices.values():
        command.add_argument("--json-progress", action="store_true", help="write messages as lines of JSON")
        command.add_argument(downloads.WITH_PARENT, action="store_true", help="end when standard input is closed")
    return parser.parse_args(arguments)


def fetched(given: argparse.Namespace, home: Home, teller: Teller) -> downloads.Downloaded:
    if offline.is_offline(os.environ):
        raise offline.refusal(
            f"{given.key} would have to be fetched", "A folder copied from another machine works: tunesmith data check."
        )
    return fetch(given.key, given.hub, given.to, teller)


def fetch(key: str, hub_key: str, folder: Path, teller: Teller) -> downloads.Downloaded:
    from tunesmith.daemon import hubs
    from tunesmith.daemon.hubs import data_set

    repositories = public_sets.find(key).repositories
    hub_key = hub_key or next(iter(repositories))
    if hub_key not in repositories:
        raise DataError(f"{key} is not known at '{hub_key}'", nearest(hub_key, repositories), "unknown_hub")
    record = data_set.download(hubs.cards()[hub_key], repositories[hub_key], folder, teller.progress)
    files = tuple(str(folder / file.path) for file in record.files)
    return downloads.Downloaded(
        key, hub_key, record.repository, record.revision, str(folder), files, sum(file.bytes for file in record.files)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
