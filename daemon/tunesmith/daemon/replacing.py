"""One folder in the place of another: at every moment one of them has the name, or the old one can be put back.

Where the system can, both names are exchanged in one step. Where it cannot, the old folder waits beside under a name
of its own, and `recover` puts it back when the process ended before the new one was there.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path

from tunesmith.daemon import crash_points
from tunesmith.daemon.api.whole_files import sync_folder

_REPLACED = ".replaced"  # ends the name under which an old folder waits
# linux/fs.h and fcntl.h: RENAME_EXCHANGE, AT_FDCWD. macOS' stdio.h: RENAME_SWAP.
_EXCHANGE, _HERE, _SWAP = 2, -100, 2
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # an older kernel, a sandbox, a file system without it


def replace_folder(staged: Path, final: Path) -> None:
    """Give `staged` the name `final`, which another folder has; what is left of that lies under `staged` or nowhere.

    Raises OSError; then `final` is the old folder.
    """
    if exchange(staged, final):
        return
    waiting = final.with_name(f".{final.name}{_REPLACED}")
    os.rename(final, waiting)
    crash_points.reach("publish.replaced")
    try:
        os.rename(staged, final)
    except OSError:
        os.rename(waiting, final)
        raise
    sync_folder(final.parent)  # before the old one goes: a power cut must not take both
    shutil.rmtree(waiting)


def recover(folder: Path) -> None:
    """Put right what processes that ended early were replacing in `folder`; for the one that writes there."""
    for waiting in folder.glob(f".*{_REPLACED}"):
        settle(folder / waiting.name[1:].removesuffix(_REPLACED))


def settle(final: Path) -> None:
    """The old folder that waits beside `final`, if one does, has the name again; or goes, where the new one has it."""
    waiting = final.with_name(f".{final.name}{_REPLACED}")
    if not waiting.exists():
        return
    if final.exists():
        shutil.rmtree(waiting)
    else:
        os.rename(waiting, final)
        sync_folder(final.parent)


def waits(path: Path) -> bool:
    """Whether `path` is an old folder that waits for the new one to have its name."""
    return path.name.startswith(".") and path.name.endswith(_REPLACED)


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system or the disk's format cannot. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        failed = library.renameat2(_HERE, first, _HERE, second, _EXCHANGE)
    elif sys.platform == "darwin":
        failed = library.renamex_np(first, second, _SWAP)
    else:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(one))
