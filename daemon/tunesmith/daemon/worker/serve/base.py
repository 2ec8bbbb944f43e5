"""What lies at a path to be served: whole as it was published, or made of its source first."""

from __future__ import annotations

from pathlib import Path

from tunesmith.daemon import publish
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.worker import converting
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes.errors import ModelError, TunesmithError
from tunesmith.recipes.models import vetted

CONVERTED_TO = "q8_0"  # what a tuned model is chatted with too, so that the two compare


def verify(path: Path) -> None:
    """A file or folder of ours is as it was published; one that came from elsewhere has no record to compare.

    Raises MachineError.
    """
    if path.is_dir():
        if (path / publish.MANIFEST).is_file():
            publish.verify_folder(path)
    elif (path.parent / publish.MANIFEST).is_file():
        publish.verify_file(path)


def whole(path: Path) -> bool:
    """Whether `path` is there as it was published; a damaged one is made again from its source."""
    try:
        publish.verify_file(path)
    except TunesmithError:
        return False
    return True


def convert(source: Path, path: Path) -> None:
    """Make the GGUF `path` from the model folder `source`. Raises TunesmithError."""
    if not (source / "config.json").is_file():
        raise ModelError(f"The base model {source} is gone", "Put it back, or ask the tuned model.")
    home = Home.find()
    with publish.staging(path) as staged, publish.staging(path.with_name("base-view")) as view:
        vetted.view(source, view, home.models)  # the converter runs a model's own code where it finds some
        run_watched(converting.command(home.vendor, view, CONVERTED_TO, staged), path.parent, lambda: None)
        publish.publish_file(staged, path)
