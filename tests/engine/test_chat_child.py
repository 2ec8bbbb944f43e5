"""The chat child, as the daemon runs it: JSON lines in, JSON lines out, nothing else on standard output."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tunesmith.daemon import publish
from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone, ChatEvent, ChatFailed, ChatMessage


class Child:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def ask(self, line: bytes) -> list[ChatEvent]:
        """Every event up to the last of this answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        events: list[ChatEvent] = []
        while not events or isinstance(events[-1], ChatDelta):
            events.append(msgspec.json.decode(self.process.stdout.readline(), type=ChatEvent))
        return events


@contextmanager
def child(*arguments: str | Path) -> Iterator[Child]:
    command = [sys.executable, "-m", "tunesmith.daemon.worker.chat", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield Child(process)
        finally:
            if process.poll() is None:
                process.kill()


def chat(text: str, **rest: int) -> bytes:
    return msgspec.json.encode(Chat((ChatMessage("user", text),), **rest))  # type: ignore[arg-type]


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ChatDelta))


@pytest.fixture(scope="module")
def base_gguf(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the child itself, on demand."""
    path = tmp_path_factory.mktemp("job") / "base-q8_0.gguf"
    with child(path, "--convert", tiny_model) as talk:
        assert isinstance(talk.ask(chat("Hello", max_tokens=2))[-1], ChatDone)
    publish.verify_file(path)
    return path


@pytest.mark.slow
def test_it_streams_an_answer_and_says_how_fast(base_gguf: Path) -> None:
    with child(base_gguf) as talk:
        first = talk.ask(chat("Hello", max_tokens=8))
        again = talk.ask(chat("Hello", max_tokens=8))
    done = first[-1]
    assert isinstance(done, ChatDone)
    assert done.tokens <= 8 and done.tokens_per_second > 0
    assert done.finish_reason in ("stop", "length")
    assert text_of(first) == text_of(again)  # greedy, and the reused prefix changes nothing


@pytest.mark.slow
def test_a_prompt_longer_than_the_context_is_refused_and_the_next_is_answered(base_gguf: Path) -> None:
    with child(base_gguf) as talk:
        (refused,) = talk.ask(chat("word " * 20_000))
        assert isinstance(refused, ChatFailed) and refused.code == "context_full" and refused.hint
        (wrong,) = talk.ask(b'{"messages": 3}')
        assert isinstance(wrong, ChatFailed) and wrong.code == "request"
        assert isinstance(talk.ask(chat("Hello", max_tokens=2))[-1], ChatDone)


@pytest.mark.slow
def test_it_ends_with_its_input_and_on_sigterm(base_gguf: Path) -> None:
    with child(base_gguf) as talk:
        talk.ask(chat("Hello", max_tokens=2))
        assert talk.process.stdin is not None
        talk.process.stdin.close()
        assert talk.process.wait(10) == 0
    with child(base_gguf) as talk:
        talk.ask(chat("Hello", max_tokens=2))
        talk.process.terminate()
        assert talk.process.wait(10) == 0


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with child(tmp_path / "model-q8_0.gguf") as talk:
        (failed,) = talk.ask(chat("Hello"))
    assert isinstance(failed, ChatFailed)
    assert "no model" in failed.message and failed.hint


@pytest.mark.slow
def test_a_flipped_bit_is_told_and_the_file_not_loaded(base_gguf: Path, tmp_path: Path) -> None:
    data = bytearray(base_gguf.read_bytes())
    with publish.staging(tmp_path / "model.gguf") as staged:
        staged.write_bytes(data)
        publish.publish_file(staged, tmp_path / "model.gguf")
    data[len(data) // 2] ^= 1
    (tmp_path / "model.gguf").write_bytes(data)
    with child(tmp_path / "model.gguf") as talk:
        (failed,) = talk.ask(chat("Hello"))
    assert isinstance(failed, ChatFailed) and failed.code == "corrupt"


def test_a_missing_base_model_is_told(tmp_path: Path) -> None:
    with child(tmp_path / "base-q8_0.gguf", "--convert", tmp_path / "gone") as talk:
        (failed,) = talk.ask(chat("Hello"))
    assert isinstance(failed, ChatFailed) and "gone" in failed.message


@pytest.mark.slow
def test_torch_is_not_loaded_to_chat(base_gguf: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tunesmith.daemon.worker import chat;"
        "from tunesmith.recipes.data.rendering import bounds; bounds.confine();"
        f"chat.open_model(Path({str(base_gguf)!r}), None); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
