"""Where everything of Tunesmith lies on disk; nothing here makes a folder until asked to."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from pathlib import Path

import msgspec

from tunesmith.recipes.errors import DaemonError

SOCKET_PATH_LIMIT = 104  # bytes: sun_path on macOS, the shorter of the two platforms


class Home(msgspec.Struct, frozen=True):
    """`$TUNESMITH_HOME`, else `$XDG_DATA_HOME/tunesmith`, else `~/.local/share/tunesmith`."""

    root: Path

    @classmethod
    def find(cls) -> Home:
        if given := os.environ.get("TUNESMITH_HOME"):
            return cls(Path(given).expanduser().resolve())
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return cls(Path(data).expanduser().resolve() / "tunesmith")

    @property
    def database(self) -> Path:
        return self.root / "jobs.sqlite3"

    @property
    def models(self) -> Path:
        """Cache of model folders: `models/starter/` and so on."""
        return self.root / "models"

    @property
    def data(self) -> Path:
        """Public data sets that were fetched: a folder each, by key."""
        return self.root / "data"

    @property
    def prepared(self) -> Path:
        """Cache of tokenized data, by content and settings."""
        return self.root / "cache" / "prepared"

    @property
    def environments(self) -> Path:
        """Of tools whose requirements would disturb ours: a folder each, which may be removed at any time."""
        return self.root / "environments"

    @property
    def wheels(self) -> Path:
        """Where a person puts packages for a machine without a network."""
        return self.root / "wheels"

    @property
    def measured(self) -> Path:
        """What the engine found of this machine, kept until one of its versions changes."""
        return self.root / "cache" / "machine.json"

    @property
    def learned(self) -> Path:
        """How runs on this machine differed from their forecasts."""
        return self.root / "cache" / "learned.json"

    @property
    def settings(self) -> Path:
        """What a person has settled once for all."""
        return self.root / "settings.json"

    @property
    def preferences(self) -> Path:
        """Which answers a person found better: a file a run, ready for training on preferences."""
        return self.root / "preferences"

    @property
    def chats(self) -> Path:
        """What was said in the wizard's chat: a folder a run, a file a conversation."""
        return self.root / "chats"

    @property
    def recovery(self) -> Path:
        """What daemons found when they started."""
        return self.root / "recovery.json"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def ballast(self) -> Path:
        """What is kept back for a full disk."""
        return self.root / "ballast"

    @property
    def lock(self) -> Path:
        return self.root / "daemon.lock"

    def served_view(self, model: Path) -> Path:
        """What the engine that serves the folder `model` is shown of it."""
        return self.root / "cache" / "served" / hashlib.sha256(os.fsencode(model)).hexdigest()[:16]

    @property
    def token(self) -> Path:
        """The bearer token of what is served over TCP."""
        return self.root / "serve-token"

    @property
    def vendor(self) -> Path:
        """llama.cpp's converter and gguf-py, of the same version as the library, put there by install.sh."""
        return Path(sys.prefix) / "share" / "tunesmith" / "llama.cpp"

    def job(self, job_id: int) -> Path:
        """spec.json, recipe.yaml, submitted.json, journals, records and logs of the workers, artifacts of one job."""
        return self.root / "jobs" / str(job_id)

    @property
    def socket(self) -> Path:
        """In the home's own `run/`; in a folder of ours under /tmp when that path is too long for a socket.

        The environment has no say: a service, a shell and a cron job must find the same one. $XDG_RUNTIME_DIR is not
        set everywhere, and its folder goes with the last session, while a daemon stays.
        """
        plain = self.root / "run" / "daemon.sock"
        if len(os.fsencode(plain)) <= SOCKET_PATH_LIMIT:
            return plain
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path("/tmp") / f"tunesmith-{os.getuid()}-{digest}" / "daemon.sock"


def private_folder(path: Path) -> Path:
    """Make `path` with mode 0700, or check that it is ours alone. Raises DaemonError when it is not."""
    with contextlib.suppress(FileExistsError):  # a file, or a link to one: refused below
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_foreign(path)
    if stat.S_IMODE(path.lstat().st_mode) & 0o077:
        path.chmod(0o700)
    return path


def refuse_foreign(path: Path) -> None:
    """Raises DaemonError unless `path` is a folder, no link to one, and of our user; OSError when it is not there."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise DaemonError(
            f"{path} is not a folder of yours",
            "Remove it, or set TUNESMITH_HOME to another folder.",
            "foreign_folder",
        )
