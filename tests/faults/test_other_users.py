"""Row A2: another user, symbolic links, a squatted socket path, stale pid files; and nothing listens on TCP."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.find import running
from tunesmith.daemon.api.home import private_folder
from tunesmith.daemon.server.listen import bound, listening
from tunesmith.recipes.errors import DaemonError

STARTS = 50
NOBODY = 65534
# Connects as another user again and again, until its standard input closes: a dot for each try, as far as somebody
# reads them; at the end how often it tried, got in and was answered.
HAMMER = """
import os, select, socket, sys
os.setgroups([]); os.setgid(%(uid)d); os.setuid(%(uid)d)
tried = got_in = heard = 0
os.write(1, b"ready\\n")
os.set_blocking(1, False)
while not select.select([sys.stdin], [], [], 0)[0]:
    tried += 1
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(2)
    try:
        one.connect(sys.argv[1])
        got_in += 1
        one.sendall(b"GET /v1/jobs HTTP/1.1\\r\\nHost: tunesmith\\r\\nConnection: close\\r\\n\\r\\n")
        heard += bool(one.recv(1))
    except OSError:
        pass
    one.close()
    try:
        os.write(1, b".")
    except BlockingIOError:
        pass
os.set_blocking(1, True)
os.write(1, f"\\n{tried} {got_in} {heard}".encode())
"""
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user to try it")


class Hammer:
    """Another user who tries to connect meanwhile; `tried`, `got_in` and `heard` are known afterwards."""

    tried = got_in = heard = 0

    def __init__(self, said: int) -> None:
        self._said = said

    def until_tried(self) -> None:
        """Until one more try has begun and ended: of the next two that end, the second did."""
        os.set_blocking(self._said, False)
        with suppress(BlockingIOError):
            while os.read(self._said, 65536):
                pass
        os.set_blocking(self._said, True)
        dots = 0
        while dots < 2:
            dots += len(os.read(self._said, 65536))


@contextmanager
def hammering(path: Path) -> Iterator[Hammer]:
    # From a folder anybody may be in: the interpreter looks at where it starts.
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", HAMMER % {"uid": NOBODY}, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", bufsize=0,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    hammer = Hammer(process.stdout.fileno())
    try:
        assert process.stdout.readline() == b"ready\n"
        yield hammer
    finally:  # or it would hammer on beside all that follows
        process.stdin.close()
        os.set_blocking(process.stdout.fileno(), True)
        said = process.stdout.read()
        process.wait(30)
    hammer.tried, hammer.got_in, hammer.heard = (int(word) for word in said.split(b"\n")[-1].split())


@pytest.fixture
def street() -> Iterator[Path]:
    """A folder anybody may come to; pytest closes its own whenever another one starts."""
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-street-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def open_to_all(street: Path, path: Path) -> None:
    """Let anybody through every folder between the two."""
    for parent in path.parents:
        if parent.is_relative_to(street):
            parent.chmod(parent.stat().st_mode | 0o055)


@as_root
def test_another_user_cannot_connect_at_any_moment_of_fifty_starts(street: Path) -> None:
    folder = street / "home" / "run"
    folder.mkdir(parents=True)
    open_to_all(street, folder / "d.sock")
    with hammering(folder / "d.sock") as hammer:
        for _ in range(STARTS):
            folder.chmod(0o755)  # as left by whoever made it first
            with listening(folder / "d.sock") as listener:
                listener.listen(8)
                with socket.socket(socket.AF_UNIX) as ours:
                    ours.connect(str(folder / "d.sock"))
                    hammer.until_tried()
    assert hammer.tried > STARTS and hammer.got_in == 0


@as_root
async def test_a_starting_daemon_lets_no_other_user_in(street: Path) -> None:
    daemon = DaemonProcess(street / "home")
    daemon.home.socket.parent.mkdir(parents=True)
    open_to_all(street, daemon.home.socket)
    with hammering(daemon.home.socket) as hammer:
        for _ in range(3):
            await daemon.start()
            assert await daemon.client.healthy()
            daemon.end()
    assert hammer.tried > 10 and hammer.got_in == 0
    await daemon.tidy()


@as_root
def test_a_socket_has_its_mode_from_the_first_moment_on(street: Path) -> None:
    """Where the folder would let others in: the umask alone keeps them out."""
    with hammering(street / "d.sock") as hammer:
        for _ in range(STARTS * 10):
            with bound(street / "d.sock") as listener:
                listener.listen(8)
                hammer.until_tried()
                (street / "d.sock").unlink()
    assert hammer.tried > STARTS and hammer.got_in == 0


def test_nobody_ever_sees_a_wider_mode(tmp_path: Path) -> None:
    seen: set[int] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                seen.add(stat.S_IMODE((tmp_path / "d.sock").lstat().st_mode))
            except FileNotFoundError:
                time.sleep(0)

    looking = threading.Thread(target=look)
    looking.start()
    umask = os.umask(0)
    try:
        for _ in range(STARTS):
            with bound(tmp_path / "d.sock"):
                seen.add(stat.S_IMODE((tmp_path / "d.sock").lstat().st_mode))
                (tmp_path / "d.sock").unlink()
    finally:
        os.umask(umask)
        over.set()
        looking.join()
    assert seen == {0o600}


@as_root
async def test_a_user_for_whom_folder_and_mode_are_no_obstacle_is_still_not_heard(street: Path) -> None:
    """Whoever connects is asked of the kernel: the first two locks were opened by hand here."""
    daemon = DaemonProcess(street / "home")
    await daemon.start()
    open_to_all(street, daemon.home.socket)
    with hammering(daemon.home.socket) as hammer:
        daemon.home.socket.chmod(0o666)
        until = time.monotonic() + 30
        while not daemon.home.log.read_text().count("another user"):
            assert await daemon.client.healthy() and time.monotonic() < until
        for _ in range(20):
            assert await daemon.client.healthy()
    assert hammer.tried >= hammer.got_in > 0 and hammer.heard == 0
    assert daemon.home.log.read_text().count("another user") <= 2  # no flood
    await daemon.tidy()


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(DaemonError) as caught, listening(tmp_path / "run" / "d.sock"):
        pass
    assert caught.value.code == "foreign_folder" and str(tmp_path / "run") in caught.value.message
    assert list((tmp_path / "real").iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(DaemonError) as caught:
        private_folder(tmp_path / "run")
    assert caught.value.code == "foreign_folder" and (tmp_path / "run").read_text() == "mine"


@as_root
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o777)
    os.chown(tmp_path / "run", NOBODY, NOBODY)
    with pytest.raises(DaemonError) as caught, listening(tmp_path / "run" / "d.sock"):
        pass
    assert caught.value.code == "foreign_folder"


@as_root
async def test_a_client_does_not_talk_to_a_daemon_of_another_user(daemon: DaemonProcess) -> None:
    os.chown(daemon.home.socket.parent, NOBODY, NOBODY)
    with pytest.raises(DaemonError) as caught:
        await running(daemon.home)
    assert caught.value.code == "foreign_folder"
    os.chown(daemon.home.socket.parent, os.getuid(), os.getgid())


@pytest.mark.parametrize("what", ["link", "file", "folder", "pipe"])
def test_what_lies_at_the_sockets_path_and_is_none_is_left_alone(tmp_path: Path, what: str) -> None:
    path = private_folder(tmp_path / "run") / "d.sock"
    (tmp_path / "precious").write_text("mine")
    {
        "link": lambda: path.symlink_to(tmp_path / "precious"), "file": lambda: path.write_text("mine"),
        "folder": path.mkdir, "pipe": lambda: os.mkfifo(path),
    }[what]()  # fmt: skip
    before = path.lstat()
    with pytest.raises(DaemonError) as caught, listening(path):
        pass
    assert caught.value.code == "socket_path"
    assert path.lstat() == before and (tmp_path / "precious").read_text() == "mine"


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    with pytest.raises(DaemonError) as caught, listening(tmp_path / ("long" * 30) / "d.sock"):
        pass
    assert caught.value.code == "socket_path" and not (tmp_path / ("long" * 30)).exists()


async def test_a_pid_file_that_names_somebody_else_stops_nobody(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    stranger = subprocess.Popen(["sleep", "100"])
    private_folder(daemon.home.root)
    daemon.home.lock.write_text(f"{stranger.pid}\n")
    await daemon.start()
    assert daemon.process is not None and daemon.home.lock.read_text() == f"{daemon.process.pid}\n"
    daemon.end(signal.SIGTERM)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


async def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    (tmp_path / "precious").write_text("mine")
    private_folder(daemon.home.root)
    daemon.home.lock.symlink_to(tmp_path / "precious")
    process = daemon.spawn()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1 and "hint:" in said and (tmp_path / "precious").read_text() == "mine"


# Says, in the file it is given, every address that the daemon binds or connects to.
WATCHED = """
import sys
sockets = open(sys.argv.pop(), "a", buffering=1)
def watch(event, arguments):
    if event in ("socket.bind", "socket.connect", "socket.sendto"):
        print(event, arguments[0].family.name, arguments[1], file=sockets)
sys.addaudithook(watch)
from tunesmith.daemon.__main__ import main
sys.exit(main())
"""


async def test_after_a_default_start_nothing_listens_on_tcp(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    daemon.command = [sys.executable, "-c", WATCHED, str(tmp_path / "sockets.txt")]
    await daemon.start()
    await daemon.submit("steps=100000 step=0.05 child")
    await daemon.until_step(1, 1)
    assert daemon.process is not None
    started = psutil.Process(daemon.process.pid)
    family = [started, *started.children(recursive=True)]
    assert len(family) >= 2
    listening_on = [one for process in family for one in process.net_connections(kind="inet")]
    assert listening_on == []
    said = (tmp_path / "sockets.txt").read_text().splitlines()
    assert [line for line in said if "AF_UNIX" not in line] == []
    assert [line for line in said if "bind" in line] == [f"socket.bind AF_UNIX {daemon.home.socket}"]
    await daemon.client.cancel(1)
    await daemon.tidy()
