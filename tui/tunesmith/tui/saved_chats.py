"""Conversations of the chat on disk: written as they go, kept within bounds; a damaged file is named.

A file a conversation, a folder a run: `chats/run-7/20261130-173524-9f2c.json`. The oldest make room for new ones.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from tunesmith.daemon.api import private_files
from tunesmith.daemon.api.disk_errors import writing
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import DataError, TunesmithError
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.conversation import Turn
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t

VERSION = 1
KEPT = 100  # of a run: a list that can still be looked through
KEPT_BYTES = 64_000_000  # of a run: those without images are some kilobytes, each image up to 3 MB
DAMAGED_SHOWN = 3  # by name
FILE_BYTES = 16_000_000  # of one: two conversations with all the images that they take, and the longest text
Mode = Literal["tuned", "base", "split"]


class SavedChat(msgspec.Struct, frozen=True):
    """Both conversations of a chat, and how it showed them. `began` is seconds since the epoch."""

    job: int
    began: float
    mode: Mode = "tuned"
    system: str = ""
    tuned: tuple[Turn, ...] = ()
    base: tuple[Turn, ...] = ()
    format: Literal["tunesmith-chat"] = "tunesmith-chat"
    version: Annotated[int, msgspec.Meta(ge=1)] = VERSION

    @property
    def questions(self) -> int:
        return max(sum(turn.role == "user" for turn in side) for side in (self.tuned, self.base))

    @property
    def first_question(self) -> str:
        return next((turn.text for turn in (*self.tuned, *self.base) if turn.role == "user"), "")


class Found(NamedTuple):
    path: Path
    chat: SavedChat


class Damaged(NamedTuple):
    path: Path
    why: str


class Listed(NamedTuple):
    """Of a run, newest first."""

    chats: tuple[Found, ...]
    damaged: tuple[Damaged, ...]


def folder(home: Home, job_id: int) -> Path:
    return home.chats / f"run-{job_id}"


def new_file(home: Home, job_id: int) -> Path:
    """The name of one that begins now; nothing is written yet."""
    began = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return folder(home, job_id) / f"{began}-{secrets.token_hex(2)}.json"


def at_rest(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """As they are kept: an answer under way counts as stopped there until more of it is written."""
    if turns and turns[-1].state == "streaming":
        return (*turns[:-1], msgspec.structs.replace(turns[-1], state="stopped"))
    return turns


def write(path: Path, chat: SavedChat) -> None:
    """And remove the oldest beyond what is kept. Raises TunesmithError."""
    data = msgspec.json.encode(chat)
    if len(data) > FILE_BYTES:
        raise DataError(
            f"This chat is larger than {bytes_text(FILE_BYTES)} and is not saved any more",
            "Begin a new one.", "chat_too_large",
        )  # fmt: skip
    private_files.write(path, data)
    for old in beyond(path.parent):
        remove(old)


def beyond(chats: Path) -> Iterator[Path]:
    """Those that the newer ones leave no room for, by number or by bytes; the newest always stays."""
    taken = 0
    for count, path in enumerate(_files(chats)):
        try:
            taken += path.stat().st_size
        except FileNotFoundError:  # another wizard made room
            continue
        if count and (count >= KEPT or taken > KEPT_BYTES):
            yield path


def listed(home: Home, job_id: int) -> Listed:
    chats, damaged = list[Found](), list[Damaged]()
    for path in _files(folder(home, job_id)):
        try:
            chats.append(Found(path, read(path)))
        except FileNotFoundError:
            continue
        except (OSError, TunesmithError) as error:
            damaged.append(Damaged(path, getattr(error, "strerror", None) or str(error)))
    return Listed(tuple(chats), tuple(damaged))


def damaged_texts(found: Listed) -> list[str]:
    """The first ones that cannot be read, and how many more there are."""
    named = [
        t("saved_chats.damaged", name=one_line(one.path.name), why=one_line(one.why))
        for one in found.damaged[:DAMAGED_SHOWN]
    ]
    more = len(found.damaged) - DAMAGED_SHOWN
    return [*named, t("saved_chats.more_damaged", count=more)] if more > 0 else named


def kept_text(home: Home, job_id: int) -> str:
    """Where they lie, and how many are kept."""
    where = one_line(str(folder(home, job_id)))
    return t("saved_chats.kept", count=KEPT, size=bytes_text(KEPT_BYTES), where=where)


def read(path: Path) -> SavedChat:
    """Raises OSError, DataError."""
    with path.open("rb") as file:
        data = file.read(FILE_BYTES + 1)
    try:
        if len(data) > FILE_BYTES:
            raise msgspec.ValidationError(f"larger than {bytes_text(FILE_BYTES)}")
        head = msgspec.json.decode(data, type=_Head)
        if head.version > VERSION:
            raise msgspec.ValidationError(f"of version {head.version}, newer than this Tunesmith")
        return msgspec.json.decode(data, type=SavedChat)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(str(error), "Remove it, or make it readable.", "chat_damaged") from error


class _Head(msgspec.Struct, frozen=True):
    format: Literal["tunesmith-chat"]
    version: int


def remove(path: Path) -> None:
    """Raises MachineError."""
    with writing(path):
        path.unlink(missing_ok=True)


def _files(chats: Path) -> list[Path]:
    """Newest first: their names begin with when they began."""
    return sorted((path for path in chats.glob("[!.]*.json") if path.is_file()), reverse=True)


class Keeper:
    """The conversation of a chat: `keep` notes how it stands; `write`, for a thread, brings that to the disk."""

    def __init__(self, home: Home, job_id: int) -> None:
        self._home, self._job_id = home, job_id
        self.path: Path | None = None  # of the one that goes on, once it has a question
        self._began = 0.0
        self._last: tuple[Path, SavedChat] | None = None
        self._due: queue.SimpleQueue[tuple[Path, SavedChat]] = queue.SimpleQueue()
        self._writing = threading.Lock()

    def begin(self, found: Found | None = None) -> None:
        """What is kept from now on is `found` as it goes on, or a new one."""
        self.path, self._began = (None, 0.0) if found is None else (found.path, found.chat.began)

    def keep(self, mode: Mode, system: str, tuned: tuple[Turn, ...], base: tuple[Turn, ...]) -> bool:
        """Whether there is something to write."""
        if not tuned and not base:
            return False
        if self.path is None:
            self.path, self._began = new_file(self._home, self._job_id), time.time()
        noted = self.path, SavedChat(self._job_id, self._began, mode, system, at_rest(tuned), at_rest(base))
        if noted == self._last:
            return False
        self._last = noted
        self._due.put(noted)
        return True

    def write(self) -> None:
        """Of each conversation the newest. Raises TunesmithError."""
        with self._writing:
            due: dict[Path, SavedChat] = {}
            while not self._due.empty():
                path, chat = self._due.get()
                due[path] = chat
            for path, chat in due.items():
                write(path, chat)
