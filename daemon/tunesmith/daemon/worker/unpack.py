"""`python -m tunesmith.daemon.worker.unpack starter|import FILE`: a GGUF as a model folder, in a process of its own.

`starter HOME` is for a command that needs the starter before any run; its last line on standard output is the error as
JSON when it fails. `import FILE --name NAME` puts a person's file into the cache and speaks `daemon.api.downloads`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api import model_store, models
from tunesmith.daemon.api.downloads import WITH_PARENT, DownloadFailed
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.hubs import adopt, telling
from tunesmith.daemon.worker import fetch, gguf_model, hub_model, starter
from tunesmith.recipes.errors import ModelError, TunesmithError
from tunesmith.recipes.models import gguf_header
from tunesmith.recipes.models.source import LOCAL
from tunesmith.recipes.models.starter_file import starter_gguf
from tunesmith.recipes.spec import STARTER

WIDTH = 2  # bytes of a float16
SPARE = 1.1


def unpack(home: Home) -> Path:
    """The folder of the starter model, made where it is missing. Raises ModelError, MachineError."""
    final = home.models / STARTER
    if not final.exists():
        file = starter_gguf()
        fetch.refuse_full_disk(private_folder(home.root), fetch.STARTER_BYTES)
        with publish.staging(final) as staged:
            starter.write(file, staged, lambda done: None)
            publish.publish_folder(staged, final)
    return final


def imported(home: Home, file: Path, name: str, teller: telling.Teller) -> models.Pulled:
    """The model in `file` as `local:name`. Raises ModelError, MachineError, OSError."""
    if not file.is_file():
        raise ModelError(f"There is no file {file}", "Check the path.", "model_missing")
    name = adopt.checked_name(name or adopt.default_name(file))
    size = int(sum(tensor.numbers for tensor in gguf_header.read(file)) * WIDTH)
    fetch.refuse_full_disk(private_folder(home.root), int(size * SPARE))
    final = model_store.of(home, "partial", LOCAL, name)
    with publish.staging(final) as staged:
        gguf_model.write(file, staged, lambda done: teller.progress(int(size * done), size))
        snapshot = adopt.adopt(home, staged, name, teller, origin=str(file.resolve()), unpacked=True)
    model_store.without_empty(final.parent, home.models / "partial")
    return models.Pulled(snapshot.kept, str(snapshot.folder))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tunesmith.daemon.worker.unpack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("starter").add_argument("home", type=Path)
    one = commands.add_parser("import")
    one.add_argument("file", type=Path)
    one.add_argument("--name", default="")
    one.add_argument("--json-progress", action="store_true")
    one.add_argument(WITH_PARENT, action="store_true")
    given = parser.parse_args(arguments)
    os.environ.update(hub_model.QUIET)
    if given.command == "starter":
        return of_the_starter(given.home)
    teller = telling.alone(given.json_progress)
    if given.ends_with_parent:
        telling.end_with_parent()
    home = Home.find()
    try:
        teller.say(imported(home, given.file.expanduser(), given.name, teller))
    except TunesmithError as error:
        teller.say(DownloadFailed(error.code, error.message, error.hint))
        return 1
    except OSError as error:
        refused = telling.of_the_disk(error, home.models)
        teller.say(DownloadFailed(refused.code, refused.message, refused.hint))
        return 1
    return 0


def of_the_starter(root: Path) -> int:
    try:
        unpack(Home(root))
    except TunesmithError as error:
        print(msgspec.json.encode(error.body()).decode())
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # engine threads would keep a finished process for seconds
