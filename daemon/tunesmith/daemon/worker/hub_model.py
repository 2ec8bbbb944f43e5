"""A model of the shared cache as a job's base: pulled in a process of its own, verified, and the same when resumed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tunesmith.daemon import publish, submitted
from tunesmith.daemon.api import downloads, model_store, models, offline
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.downloads import Checking, DownloadFailed, Downloading, Waiting
from tunesmith.daemon.api.models import Pulled
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes.errors import MachineError, TunesmithError
from tunesmith.recipes.models import source
from tunesmith.recipes.models.source import LOCAL, Named, Repository
from tunesmith.recipes.words import again, of_error, say

# What keeps the engine's libraries from asking anybody anything; the process that pulls does without.
QUIET: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1", "WANDB_MODE": "disabled",
}  # fmt: skip
PIN = "base.json"
STOP_WITHIN_S = 3.0
VERIFYING = say("verifying", "verifying")


class Pin(msgspec.Struct, frozen=True):
    """`base.json` in the job's folder: what the recipe's `source` was taken to be, with its revision."""

    source: str
    taken: str
    version: int = 1


def pulled(context: Context, asked: Named | Repository) -> Path:
    """Its folder in the cache, fetched where it is not there, mended where it is damaged. Raises TunesmithError."""
    said = submitted.read(context.job)
    # Ours alone: that the libraries are offline is what this process told them.
    no_network = said.offline or offline.VARIABLE in os.environ
    wanted = pinned(context) or str(asked)
    found = child(context, downloads.HUBS, models.pull_arguments(wanted, refresh=False), said.hub, no_network)
    if not found.fetched:
        found = whole(context, found, said.hub, no_network)
    return chosen(context, found)


def whole(context: Context, found: Pulled, hub: str, no_network: bool) -> Pulled:
    """`found`, every byte of it verified; fetched again where it is damaged."""
    context.progress(0, max(1, found.model.bytes), "bytes", VERIFYING)
    try:
        publish.verify_folder(Path(found.folder))
        return found
    except MachineError as error:
        if no_network or found.model.hub == LOCAL:
            mend = f"`tunesmith models verify {found.model.source}` says how to mend it."
            raise MachineError(error.message, mend, "corrupt") from error
        context.notice("warning", say("fetched_again", "{error}. It is fetched again.", error=of_error(error)))
    return child(context, downloads.HUBS, models.pull_arguments(found.model.source), hub, no_network)


def unpacked(context: Context, file: Path) -> Path:
    """The model in a GGUF file as a folder of the cache, made once a file. Raises TunesmithError."""
    if not file.is_file():
        raise MachineError(f"There is no file {file}", "Check model.source.", "model_missing")
    name = f"gguf-{digest_of(context, file)[:16]}"
    kept = model_store.find(context.home, LOCAL, name)
    if kept is None:
        found = child(context, models.UNPACK, ["import", "--name", name, "--", str(file)], "", True)
    else:
        found = whole(context, Pulled(kept.kept, str(kept.folder)), "", True)
    words = say(
        "unpacked",
        "{file} holds quantized weights, unpacked to float16: what was lost when they were quantized does not come "
        "back. Train the original weights where you can get them.",
        file=file.name,
    )
    context.notice("info", words)
    return chosen(context, found)


def digest_of(context: Context, file: Path) -> str:
    digest, done, total = hashlib.sha256(), 0, file.stat().st_size
    with file.open("rb") as opened:
        while block := opened.read(16 << 20):
            digest.update(block)
            done += len(block)
            context.progress(done, total + 1, "bytes", VERIFYING)
    return digest.hexdigest()


def pinned(context: Context) -> str:
    """What an earlier attempt of this job took; empty when there was none, or the recipe says something else now."""
    try:
        pin = msgspec.json.decode((context.job / PIN).read_bytes(), type=Pin)
    except (OSError, msgspec.DecodeError):
        return ""
    return pin.taken if pin.source == context.spec.model.source else ""


def chosen(context: Context, found: Pulled) -> Path:
    pin = Pin(context.spec.model.source, found.model.source)
    publish.write_whole(context.job / PIN, msgspec.json.encode(pin))
    context.emit(
        e.BaseChosen(time=time.time(), source=found.model.source, folder=found.folder, bytes=found.model.bytes)
    )
    return Path(found.folder)


def child(context: Context, module: str, arguments: Sequence[str], hub: str, no_network: bool) -> Pulled:
    """What the process comes to; its progress is the stage's. Ended when this is cancelled. Raises TunesmithError."""
    decode, told = downloads.decoder(Pulled).decode, Told(context)
    with subprocess.Popen(
        downloads.command(module, arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=environment(context, hub, no_network),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                message = decode(line)
                if isinstance(message, DownloadFailed):
                    raise of_the_job(context, downloads.failed(message))
                if isinstance(message, Pulled):
                    return message
                told.tell(message)
        finally:
            end(process)
    raise downloads.ended(process.returncode, "")


def end(process: subprocess.Popen[bytes]) -> None:
    """What arrived is journalled as it comes, so that it may be ended at any time."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()


class Told:
    """Passes on what a child says as the progress of the stage."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.before: int | None = None
        self.waited = ""

    def tell(self, message: Downloading | Checking | Waiting) -> None:
        match message:
            case Downloading(done, total):
                if self.before is None:
                    self.before = done
                self.context.progress(done, max(total, done + 1), "bytes", before=self.before)
            case Checking(done, total):
                self.context.progress(done, max(total, done + 1), "bytes", VERIFYING)
            case Waiting(text, said):
                if text != self.waited:
                    self.waited = text
                    self.context.notice("info", say("waiting", "Waiting: {why}.", why=again(said or text)))
                self.context.check_cancelled()


def environment(context: Context, hub: str, no_network: bool) -> dict[str, str]:
    """Ours without what keeps the engine quiet."""
    kept = {name: value for name, value in downloads.environment(context.home).items() if name not in QUIET}
    if no_network:
        kept[offline.VARIABLE] = "1"
    if hub:
        kept[source.VARIABLE] = hub
    return kept


def of_the_job(context: Context, error: TunesmithError) -> TunesmithError:
    """The daemon may have been started without the person's token: their own pull has it, and the cache is shared."""
    if error.code != "not_allowed":
        return error
    again = f"tunesmith models pull {context.spec.model.source}"
    hint = f"{error.hint} In the shell that has the token: `{again}`, then `tunesmith resume {context.job.name}`."
    return TunesmithError(error.message, hint, error.code)
