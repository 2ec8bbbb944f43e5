"""What a disk holds after the power was cut, from the record of every change that was made to it.

The strictest disk that is allowed: a file's bytes are safe once that file was synced, its name once its folder was.
What was not synced may be there or not; `survives` decides for each file and each folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

MARK = "mark"


class Change(msgspec.Struct, frozen=True):
    """One line of the record: `kind` is write, sync, truncate, rename, unlink, folder, open or mark."""

    kind: str
    path: str
    number: int = 0
    to: str = ""
    data: bytes = b""


def mark(record: Path, text: str) -> None:
    """Note in the record what a client was promised by now."""
    with record.open("ab", buffering=0) as file:
        file.write(f"{MARK} {text}\n".encode())


def read(record: Path) -> list[Change]:
    """Every change in its order. Raises ValueError on a record that is torn."""
    return list(_changes(record.read_bytes()))


def _changes(data: bytes) -> Iterator[Change]:
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        kind, _, rest = data[at:end].decode().partition(" ")
        at = end + 1
        match kind:
            case "write":
                size, offset, path = rest.split(" ", 2)
                yield Change(kind, path, int(offset), data=data[at : at + int(size)])
                at += int(size)
            case "truncate" | "open":
                number, path = rest.split(" ", 1)
                yield Change(kind, path, int(number))
            case "rename":
                path, to = rest.split("\t")
                yield Change(kind, path, to=to)
            case _:
                yield Change(kind, rest)


class _File:
    def __init__(self) -> None:
        self.now = bytearray()
        self.synced: bytes | None = None


class _Folder:
    def __init__(self) -> None:
        self.now: dict[str, _Node] = {}
        self.synced: dict[str, _Node] = {}


_Node = _File | _Folder


class Disk:
    """The folder `root`, and what of it is safe."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top = _Folder()

    def apply(self, change: Change) -> None:
        if change.kind == MARK:
            return
        folder, name = self._find(change.path)
        node = folder.now.get(name) if name else folder
        match change.kind:
            case "open":
                if node is None:
                    node = folder.now[name] = _File()
                if change.number and isinstance(node, _File):
                    node.now = bytearray()
            case "folder" if name:
                folder.now[name] = _Folder()
            case "write" if isinstance(node, _File):
                node.now.extend(bytes(max(0, change.number - len(node.now))))
                node.now[change.number : change.number + len(change.data)] = change.data
            case "truncate" if isinstance(node, _File):
                node.now = node.now[: change.number] + bytes(max(0, change.number - len(node.now)))
            case "sync" if isinstance(node, _File):
                node.synced = bytes(node.now)
            case "sync" if isinstance(node, _Folder):
                node.synced = dict(node.now)
            case "rename" if node is not None:
                target, target_name = self._find(change.to)
                target.now[target_name] = folder.now.pop(name)
            case "unlink":
                folder.now.pop(name, None)

    def after_power_cut(self, into: Path, survives: Callable[[], bool]) -> None:
        """Write to `into` what is left; `survives` says of each thing not synced whether it is there all the same."""
        shutil.rmtree(into, ignore_errors=True)
        _write(self._top, into, survives)

    def _find(self, path: str) -> tuple[_Folder, str]:
        """The folder that has the last name of `path`, and that name ('' for the root)."""
        parts = Path(path).relative_to(self.root).parts
        folder = self._top
        for part in parts[:-1]:
            found = folder.now.get(part)
            if not isinstance(found, _Folder):
                found = folder.now[part] = _Folder()  # made before the record began
            folder = found
        return folder, parts[-1] if parts else ""


def _write(folder: _Folder, into: Path, survives: Callable[[], bool]) -> None:
    into.mkdir(mode=0o700, parents=True)
    names = folder.now if folder.now != folder.synced and survives() else folder.synced
    for name, node in names.items():
        if isinstance(node, _Folder):
            _write(node, into / name, survives)
        elif node.synced == node.now or not survives():
            (into / name).write_bytes(node.synced or b"")
        else:
            (into / name).write_bytes(node.now)
