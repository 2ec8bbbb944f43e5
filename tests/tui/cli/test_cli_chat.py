"""Chat: history, one-shot answers, and a ctrl-c that stops the answer first and leaves second."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from tunesmith.daemon.api.home import Home
from tunesmith.tui.saved_chats import listed

pytestmark = pytest.mark.usefixtures("fake_daemon")


@pytest.fixture(autouse=True)
def finished_run(tunesmith: Any, recipe: Callable[[str], str], fake_daemon: Any) -> None:
    assert tunesmith("run", recipe("good"), "--wait").code == 0


def test_one_message_gets_one_answer(tunesmith: Any) -> None:
    assert tunesmith("chat", "1", "--message", "hello").out == "tuned heard 1: hello\n"
    assert tunesmith("chat", "1", "--base", "-m", "hello").out == "base heard 1: hello\n"


def test_with_json_the_answer_comes_with_its_figures(tunesmith: Any) -> None:
    answer = tunesmith("chat", "last", "--system", "be brief", "--message", "hello", "--json").json
    assert answer["answer"] == "tuned heard 2: hello"
    assert answer["tokens_per_second"] == 50.0 and answer["finish_reason"] == "stop" and answer["run"] == 1


def test_a_terminal_without_the_answers_letters_is_no_crash(tunesmith: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert tunesmith("chat", "1", "-m", "你好").code == 0


def test_a_conversation_remembers_and_forgets(tunesmith: Any) -> None:
    said = tunesmith("chat", "1", text="one\ntwo\n/reset\nthree\n").out.splitlines()
    assert said == ["tuned heard 1: one", "tuned heard 3: two", "tuned heard 1: three"]


def test_chat_with_an_unfinished_newest_run_takes_the_finished_one(
    tunesmith: Any, recipe: Callable[[str], str]
) -> None:
    tunesmith("run", recipe("stay"))
    assert tunesmith("chat", "last", "--message", "hi", "--json").json["run"] == 1


def picture(path: Path) -> str:
    Image.new("RGB", (40, 20)).save(path, "PNG")
    return str(path)


def test_an_image_goes_with_a_message(tunesmith: Any, tmp_path: Path) -> None:
    cat, dog = picture(tmp_path / "cat.png"), picture(tmp_path / "dog.png")
    asked = tunesmith("chat", "1", "--image", cat, "--image", dog, "--message", "hello", "--json").json
    assert asked["answer"] == "tuned heard 1: hello, saw 2"
    assert asked["images"][1] == {"name": "dog.png", "width": 40, "height": 20}


def test_in_a_conversation_an_image_is_attached_taken_back_and_sent_again_with_what_follows(
    tunesmith: Any, tmp_path: Path
) -> None:
    cat, dog = picture(tmp_path / "cat.png"), picture(tmp_path / "my dog.png")
    lines = ("one", f"/image '{dog}'", "/image", "two", f"/image {dog}", "three", "/reset", "four")
    talked = tunesmith("chat", "1", "--image", cat, text="\n".join(lines))
    assert talked.out.splitlines() == [
        "tuned heard 1: one, saw 1", "tuned heard 3: two, saw 1", "tuned heard 5: three, saw 2", "tuned heard 1: four"
    ]  # fmt: skip
    assert "With the next message: my dog.png (40 x 20)" in talked.err
    assert "No image goes with the next message" in talked.err


def test_an_image_that_cannot_be_sent_is_refused_with_what_to_do(
    tunesmith: Any, tmp_path: Path, recipe: Callable[[str], str]
) -> None:
    cat, text = picture(tmp_path / "cat.png"), tmp_path / "text.png"
    text.write_text("no image", "utf-8")
    for names, code in (
        ([str(tmp_path / "none.png")], "image_missing"),
        ([str(text)], "image_unknown"),
        ([cat] * 5, "too_many_images"),
    ):
        options = [word for name in names for word in ("--image", name)]
        refused = tunesmith("chat", "1", "--message", "hello", "--json", *options)
        assert refused.code == 1 and refused.json["error"]["code"] == code and refused.json["error"]["hint"]
    assert tunesmith("run", recipe("blind"), "--wait").code == 0
    refused = tunesmith("chat", "2", "--image", cat, "--message", "hello")
    assert refused.code == 1 and not refused.out and "tunesmith export 2 --to gguf:q8_0,gguf-mmproj" in refused.err


def test_ctrl_c_stops_the_answer_and_then_leaves() -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", "chat", "1"]
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=os.environ | {"TERM": "xterm"}, start_new_session=True,
        preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(slave)
    try:
        read_until(master, "> ")
        os.write(master, b"slowly\n")
        read_until(master, "and so on")
        os.write(master, b"\x03")
        read_until(master, "Stopped")
        read_until(master, "> ")
        os.write(master, b"again\n")
        read_until(master, "tuned heard 3")
        read_until(master, "tokens/s")
        read_until(master, "> ")
        until_it_sleeps(process.pid)
        os.write(master, b"\x03")
        assert process.wait(20) == 0
        ((_, kept),) = listed(Home.find(), 1).chats
        assert [turn.state for turn in kept.tuned] == ["said", "stopped", "said", "said"]
        assert kept.tuned[1].text.startswith("tuned heard 1: slowly and so on")
    finally:
        process.kill()
        os.close(master)


def take_terminal() -> None:
    """In the child: make its standard input the controlling terminal, so that ctrl-c becomes a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def until_it_sleeps(pid: int) -> None:
    """Until the process waits for a key: CPython's readline misses a signal between its prompt and its `select`."""
    deadline = time.monotonic() + 60
    while psutil.Process(pid).status() != psutil.STATUS_SLEEPING:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def read_until(master: int, wanted: str) -> str:
    """What the terminal shows up to `wanted`."""
    seen = ""
    deadline = time.monotonic() + 60
    while wanted not in seen:
        assert time.monotonic() < deadline, f"no {wanted!r} in {seen!r}"
        if select.select([master], [], [], 0.2)[0]:
            seen += os.read(master, 1).decode("utf-8", "replace")
    return seen
