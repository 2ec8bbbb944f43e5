"""What can be asked, by name: a run's models and adapters, and what a person serves beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from tunesmith.daemon.api import model_facts
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import JobError, ModelError
from tunesmith.recipes.exports import gguf_mmproj
from tunesmith.recipes.models import source
from tunesmith.recipes.models.source import Folder, GgufFile, Named, Repository, Starter
from tunesmith.recipes.models.starter_file import starter_gguf

RUN = re.compile(r"run-([1-9][0-9]{0,14})(?::([a-z0-9_]{1,40}))?")
BASE, ADAPTER, MERGED = "base", "adapter", "merged"
EYES = gguf_mmproj.CARD.file_name("")
# Of a run's GGUFs: first what it was compared with its base in.
PREFERRED = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "f16", "bf16")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The model at `path`, with `adapter` on it where that is not "". `convert` is what `path` is made of at need,
    `eyes` the mmproj that it sees with.

    `log` is where its process writes what the libraries print.
    """

    name: str
    path: Path
    log: Path
    convert: str = ""
    adapter: str = ""
    eyes: Path | None = None


def run_name(job_id: int, variant: str = "") -> str:
    return f"run-{job_id}" + (f":{variant}" if variant else "")


def of_run(home: Home, places: Sequence[int], variant: str = "") -> Subject:
    """The model of the run `places[0]`; without a variant what it is chatted with. Raises JobError (code no_model).

    The other places are jobs in which a model of it may lie as well: those that exported it again.
    """
    job_id = places[0]
    name, log = run_name(job_id, variant), home.job(job_id) / "chat.log"
    folders = [home.job(place) / "artifacts" for place in places]
    if variant == BASE:
        path = home.job(job_id) / "base-q8_0.gguf"
        # Training is of text: what the tuned model sees with is its base's.
        return Subject(name=name, path=path, log=log, convert=_base(home, job_id), eyes=_eyes(folders))
    for folder in folders:
        file = _gguf(folder) if variant == "" else folder / f"model-{variant}.gguf"
        if file is not None and file.is_file():
            return Subject(name=name, path=file, log=log, eyes=_eyes(folders))
    for folder in folders:
        if variant in ("", MERGED) and (folder / MERGED / "config.json").is_file():
            return Subject(name=name, path=folder / MERGED, log=log)
        if variant in ("", ADAPTER) and (folder / ADAPTER).is_dir():
            base = Path(_base(home, job_id))
            return Subject(name=name, path=base, log=log, adapter=str(folder / ADAPTER))
    what = f"no {variant}" if variant else "no model"
    raise JobError(
        f"Job {job_id} has {what} yet", f"See how far it is with `tunesmith jobs show {job_id}`.", "no_model"
    )


def _gguf(artifacts: Path) -> Path | None:
    files = sorted(artifacts.glob("model-*.gguf"))
    by_name = {file.name: file for file in files}
    wanted = [f"model-{variant}.gguf" for variant in PREFERRED]
    return next((by_name[name] for name in wanted if name in by_name), files[0] if files else None)


def _eyes(folders: Iterable[Path]) -> Path | None:
    """What was exported to see with, in the first of these folders where it lies."""
    return next((file for folder in folders if (file := folder / EYES).is_file()), None)


def _base(home: Home, job_id: int) -> str:
    try:
        return (home.job(job_id) / "base.txt").read_text("utf-8").strip()
    except FileNotFoundError as error:
        hint = f"See how far it is with `tunesmith jobs show {job_id}`."
        raise JobError(f"Job {job_id} has not fetched its base model yet", hint, "no_model") from error


def of_runs(home: Home, runs: Iterator[Sequence[int]]) -> Iterator[Subject]:
    """The model of each run that has one; a run is said by its places."""
    for places in runs:
        try:
            yield of_run(home, places)
        except JobError:
            continue


def find(home: Home, text: str, hub: str, places: Callable[[int], Sequence[int]]) -> Subject:
    """What a person means by RUN, GGUF or MODEL. Raises JobError, ModelError, RecipeError."""
    if (run := RUN.fullmatch(text)) is not None:
        return of_run(home, places(int(run[1])), run[2] or "")
    log = home.root / "serve.log"
    match asked := source.parse(text):
        case Starter():
            return Subject(name=text, path=starter_gguf(), log=log)
        case GgufFile(path):
            file = there(path, "model")
            return Subject(name=file.stem, path=file, log=log, eyes=_eyes([file.parent]))
        case Folder(path):
            return Subject(name=Path(path).name, path=there(path, "model"), log=log)
        case Named() | Repository():
            if (here := model_facts.lies_here(home, asked, hub)) is None:
                raise ModelError(
                    f"{text} is not on this machine", f"Fetch it first: tunesmith models pull {text}", "model_missing"
                )
            return Subject(name=text, path=here, log=log)


def there(text: str, what: str) -> Path:
    """Raises ModelError unless something lies at that absolute path."""
    path = Path(text)
    try:
        found = path.is_absolute() and path.exists()
    except OSError:  # longer than any path can be
        found = False
    if not found:
        hint = "Give the absolute path of a .gguf file or of a folder."
        raise ModelError(f"There is no {what} at {text[:300]}", hint, "model_missing")
    return path
