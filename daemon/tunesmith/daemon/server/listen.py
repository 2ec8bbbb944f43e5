"""The daemon's socket: bound where only our user can reach it, never for a moment with a wider mode."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from tunesmith.daemon.api import disk_errors
from tunesmith.daemon.api.home import SOCKET_PATH_LIMIT, private_folder
from tunesmith.recipes.errors import DaemonError


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket bound in a folder of ours, in place of one left by a dead daemon: only the lock's holder may do that.

    Raises DaemonError when the folder is not ours alone, when something else lies at `path`, or when it is too long.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise DaemonError(
            f"The socket's path {path} is longer than {SOCKET_PATH_LIMIT} bytes",
            "Set TUNESMITH_HOME, or XDG_RUNTIME_DIR, to a shorter path.",
            "socket_path",
        )
    with disk_errors.writing(path.parent):
        private_folder(path.parent)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise DaemonError(f"{path} is in the way and is no socket", "Move it aside.", "socket_path")
        path.unlink()
    listener = bound(path)
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def bound(path: Path) -> socket.socket:
    """The mode comes from the umask: a chmod after the bind would leave a moment in which others can connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with disk_errors.writing(path):
            listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


def peer_uid(connection: socket.socket) -> int:
    """Who is at the other end of a Unix socket."""
    if sys.platform == "darwin":  # xucred: version, uid, ... at level SOL_LOCAL, LOCAL_PEERCRED
        _, uid = struct.unpack_from("=II", connection.getsockopt(0, 1, 76))
    else:  # ucred: pid, uid, gid
        _, uid, _ = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
