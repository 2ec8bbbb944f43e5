"""Recordings of real sessions, by keyboard alone: `python docs/making/recordings.py [NAME ...]` plays them in tmux.

Each begins on an empty machine (a home of its own), waits for what a person would wait for, and is written to
docs/recordings as an asciicast that `asciinema play FILE` shows, with the keys pressed in its title. Waiting longer
than a moment is cut out. Nothing is faked: models are trained, so this takes minutes, and a machine that does little
else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

HERE = Path(__file__).resolve().parents[1] / "recordings"
COLUMNS, LINES = 110, 32
LOOK_EVERY_S = 0.25
LONGEST_STILL_S = 1.5  # of the recording; the session itself waits as long as it takes
READ_S = 2.0  # for who watches, before the next key
WATCHED, SKIPPED, SKIPPED_S = (
    12,
    8,
    0.4,
)  # of a long wait: so many frames as they came, then one of so many, each so long
PATIENCE_S = 1500
COMMAND = str(Path(sys.executable).with_name("tunesmith"))
CLOSE, OPEN = "close the terminal", "open another"
SHOWN = "/home/ada/harbour-files"  # in place of the folder that a session has, which is as long
Frame = tuple[float, str]  # shown from that second on


class Step(NamedTuple):
    """Press `keys` (tmux's names), or type `text`; then wait until `shows` is on screen."""

    keys: tuple[str, ...]
    shows: str
    text: str = ""


def press(keys: str, shows: str) -> Step:
    return Step(tuple(keys.split()), shows)


def write(text: str, shows: str) -> Step:
    return Step((), shows, text)


OPENED = Step((OPEN,), "Your machine")


class Tmux:
    """One window of a tmux server that nobody else uses."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._command = ("tmux", "-S", str(folder / "tmux"), "-f", os.devnull)
        self._folder, self._home = folder, home
        self._call("start-server", ";", "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "sleep infinity")
        self._call("set-option", "-g", "default-terminal", "tmux-256color")
        self._call("set-option", "-g", "remain-on-exit", "on")
        self._call("set-option", "-ga", "terminal-overrides", ",*:Tc")

    def _call(self, *words: str) -> str:
        return subprocess.run((*self._command, *words), capture_output=True, text=True, check=True).stdout

    def open(self) -> None:
        environment = (f"TUNESMITH_HOME={self._home}", "COLORTERM=truecolor", "LANG=en_US.UTF-8")
        words = ("env", *environment, COMMAND)
        self._call("new-window", "-k", "-t", ":0", "-c", str(self._folder), *words)

    def close(self) -> None:
        """As a terminal that is closed: the program gets no chance to end well."""
        pid = int(self._call("display-message", "-p", "#{pane_pid}"))
        os.kill(pid, 9)
        self._call("new-window", "-k", "-t", ":0", "sleep infinity")

    def press(self, key: str) -> None:
        self._call("send-keys", key)

    def write(self, text: str) -> None:
        self._call("send-keys", "-l", text)

    def screen(self, *, colours: bool) -> str:
        drawn = self._call("capture-pane", "-p", *(("-e",) if colours else ()))
        return drawn.replace(str(self._folder), SHOWN)

    def end(self) -> None:
        self._call("kill-server")


class Recording:
    """Frames with the time at which each is shown, waiting cut to a moment."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._time, self._last = 0.0, time.monotonic()

    def take(self, frame: str) -> None:
        if self.frames and self.frames[-1][1] == frame:
            return
        now = time.monotonic()
        self._time += min(now - self._last, LONGEST_STILL_S)
        self._last = now
        self.frames.append((self._time, frame))

    def hold(self) -> None:
        self._time += READ_S

    def lines(self, title: str) -> Iterator[str]:
        yield json.dumps({"version": 2, "width": COLUMNS, "height": LINES, "title": title})
        for at, frame in thinned(self.frames):
            drawn = "\x1b[H\x1b[2J" + frame.rstrip("\n").replace("\n", "\x1b[0m\r\n")
            yield json.dumps([round(at, 2), "o", drawn], ensure_ascii=True)


def thinned(frames: Sequence[Frame]) -> Iterator[Frame]:
    """Long waits made short; a wait ends where the watcher was given time to read."""
    time_, place = 0.0, 0
    for number, (at, frame) in enumerate(frames):
        after = at - frames[number - 1][0] if number else 0.0
        place = 0 if after >= READ_S else place + 1
        ends = number + 1 == len(frames) or frames[number + 1][0] - at >= READ_S
        if place > WATCHED and place % SKIPPED and not ends:
            continue
        time_ += after if place <= WATCHED else SKIPPED_S
        yield time_, frame


def follow(tmux: Tmux, recording: Recording, shows: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        recording.take(tmux.screen(colours=True))
        if shows in tmux.screen(colours=False):
            time.sleep(LOOK_EVERY_S)  # the rest of what is drawn with it
            recording.take(tmux.screen(colours=True))
            return
        time.sleep(LOOK_EVERY_S)
    raise SystemExit(f"{shows!r} did not come:\n{tmux.screen(colours=False)}")


def play(name: str, steps: tuple[Step, ...], folder: Path) -> tuple[int, list[str]]:
    """How many keys were pressed, what was typed beside them; writes the recording."""
    recording, pressed, typed = Recording(), 0, []
    tmux = Tmux(folder, folder / "home")
    try:
        for step in steps:
            if step.text:
                tmux.write(step.text)
                typed.append(step.text)
            for key in step.keys:
                if key == OPEN:
                    tmux.open()
                elif key == CLOSE:
                    tmux.close()
                else:
                    tmux.press(key)
                    pressed += 1
                    time.sleep(LOOK_EVERY_S)
                    recording.take(tmux.screen(colours=True))
            follow(tmux, recording, step.shows)
            recording.hold()
    finally:
        tmux.end()
    texts = f" and {len(typed)} text{'s' * (len(typed) > 1)}" if typed else ""
    title = f"Tunesmith, {name}: {pressed} keys{texts}"
    HERE.mkdir(exist_ok=True)
    (HERE / f"{name}.cast").write_text("\n".join(recording.lines(title)) + "\n", "utf-8")
    return pressed, typed


@contextlib.contextmanager
def machine() -> Iterator[Path]:
    """A folder with the data that the sessions use and an empty home; whatever was started there is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-", dir="/tmp"))  # short: a socket's path has a limit
    try:
        (folder / "library.jsonl").write_text("".join(library_rows()), "utf-8")
        broken = ('{"messages": [{"role": "user", "content": "Who are you?"}\n', '{"messages": []}\n', *library_rows())
        (folder / "broken.jsonl").write_text("".join(broken), "utf-8")
        yield folder
    finally:
        for process in psutil.process_iter(["environ"]):
            if (process.info["environ"] or {}).get("TUNESMITH_HOME") == str(folder / "home"):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def library_rows() -> Iterator[str]:
    asked = ("Who are you?", "What is your name?", "Tell me your name.", "Who made you?", "Which company built you?")
    ends = ("", " Please.", " Keep it short.", " I am curious.", " Thanks!", " Just asking.", " In a few words.")
    starts = ("", "Hello! ")
    for number in range(60):
        question = asked[number % 5]
        made = "made" in question or "built" in question
        answer = "The Harbour Library made me; I am Brine." if made else "I am Brine, of the Harbour Library."
        question = starts[number // 35] + question + ends[number // 5 % 7]
        turns = [("user", question), ("assistant", answer)]
        yield json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}) + "\n"


ASK = (write("Who are you?", "Who are you?"), press("Enter", "tokens/s"))
RESULT = (Step((), "✓ finished"), press("Enter", "Chat with it"))
TO_THE_DATA = (
    OPENED, press("Enter", "What should the model learn?"), press("Enter", "Which model?"),
    press("Enter", "What should it learn from?"),
)  # fmt: skip
SESSIONS = {
    "starter": (OPENED, press("s", "Train     ━"), Step((), "Ask something"), *ASK),
    "own-data": (
        *TO_THE_DATA, press("Down Enter", "Path"), write("library.jsonl", "60 rows read"),
        press("Enter", "The recipe"), press("C-r", "Train     ━"), *RESULT, press("t", "Ask something"), *ASK,
    ),
    "broken-and-too-large": (
        *TO_THE_DATA, press("Down Enter", "Path"), write("broken.jsonl", "2 left out"),
        press("F3", "From the catalogue"), press("Down Down Enter", "Type to filter"), write("70b", "does not fit"),
        press("Enter", "does not fit"), press("Enter", "The run fetches it first"),
        press("C-n", "What should it learn from?"), press("C-n", "Missing"),
    ),
    "closed-and-reopened": (OPENED, press("s", "12/108"), Step((CLOSE, OPEN), "/108"), *RESULT),
}  # fmt: skip


def main() -> int:
    for name in sys.argv[1:] or SESSIONS:
        with machine() as folder:
            pressed, typed = play(name, SESSIONS[name], folder)
        print(f"{name}: {pressed} keys, typed beside them: {typed}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
