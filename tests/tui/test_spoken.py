"""`tunesmith --plain`: the same steps as sentences and numbered questions, with a real daemon below."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from daemon_process import DaemonProcess
from histories import START, finished
from live import FakeClient
from PIL import Image

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import find
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Chat, ChatEvent, ChatFailed, Submit
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.intervals import Interval
from tunesmith.recipes.machine import Device, Machine
from tunesmith.recipes.spec import BenchmarkSpec, to_yaml
from tunesmith.tui import texts
from tunesmith.tui.draft import Draft
from tunesmith.tui.planning import Planning
from tunesmith.tui.spoken.asking import Asker, Back, Quit
from tunesmith.tui.spoken.job import EVERY_S, Reporter
from tunesmith.tui.spoken.wizard import SpokenWizard
from tunesmith.tui.watch import JobUpdated

MAIN = "from tunesmith.tui.cli.main import main; main()"
CPU = Device("cpu", "CPU", 16_000_000_000, 10_000_000_000)
MACHINE = Machine("Linux", "CPU", 2, (), 16_000_000_000, 10_000_000_000, (CPU,), 80_000_000_000)
DRAWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f─-▟⠀-⣿]")  # controls, boxes, blocks and braille


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_MODULE="toy_starter")
    await process.start()
    yield process
    await process.tidy()


def spoken(daemon: DaemonProcess, *answers: str, **environment: str) -> str:
    """What is said to somebody who gives these answers, then leaves."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN], input="".join(f"{answer}\n" for answer in answers), capture_output=True,
        text=True, timeout=240, env=daemon.environment | {"TUNESMITH_PLAIN": "1", "LANG": "en_US.UTF-8"} | environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert DRAWN.search(done.stdout) is None
    return done.stdout


async def test_the_starter_runs_from_one_answer_to_a_chat(daemon: DaemonProcess) -> None:
    said = spoken(daemon, "2", "", "who are you", "q")
    told = [f"{texts.t(f'run.stage_{stage}')}: {texts.t(f'run.why_{stage}')}" for stage in e.STAGES]
    assert [sentence for sentence in told if sentence not in said] == []
    assert "Step 7 of 7: Result." in said
    assert "Tuned: whoareyou" in said


def asked(time: float) -> list[e.Event]:
    """A job that asked run 1 a benchmark."""
    return [
        e.Queued(time=time, task="benchmark", of=1, stages=("fetch", "evaluate")),
        e.Benchmarked(
            time=time, suite="gsm8k", title="GSM8K", subject="tuned", model="run-1", tool="lm-eval 0.4.13",
            metric="exact_match", questions=5, figure=Interval(0.41, 0.30, 0.52), standard_error=0.05,
        ),
        e.Finished(time=time, seconds=9),
    ]  # fmt: skip


class Client(FakeClient):
    """Runs whatever is submitted to its end at once."""

    async def submit(self, request: Submit) -> JobView:
        self.submitted.append(request)
        done = asked(START) if request.spec.task == "benchmark" else finished()
        self.histories[len(self.submitted)], self.names[len(self.submitted)] = done, request.spec.name
        return await self.job(len(self.submitted))

    async def close(self) -> None:
        return None


class Talk:
    """The wizard in this process with a client in memory, and what was said."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client, self.said = Client(), ""
        self._answers: Iterator[str] = iter(())
        self.wizard = SpokenWizard(Home(home), Asker(self._read, self._write))
        self.wizard.planning = Planning(Home(home), self.wizard.draft, MACHINE, live=False)

        async def running(home: Home) -> None:
            return None

        async def ensure_daemon(home: Home) -> Client:
            return self.client

        monkeypatch.setattr(find, "running", running)
        monkeypatch.setattr(find, "ensure_daemon", ensure_daemon)

    def _read(self) -> str:
        try:
            return next(self._answers)
        except StopIteration:
            raise EOFError from None

    def _write(self, line: str) -> None:
        assert DRAWN.search(line) is None, line
        self.said += f"{line}\n"

    def answer(self, *answers: str) -> str:
        self._answers = iter(answers)
        self.wizard.run()
        return self.said


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Talk:
    return Talk(tmp_path / "home", monkeypatch)


def test_enter_alone_goes_through_every_step_with_its_default(talk: Talk) -> None:
    said = talk.answer(*[""] * 9, "who are you")
    for number, step in enumerate(("Machine", "Goal", "Model", "Data", "Recipe", "Run", "Result"), 1):
        assert f"Step {number} of 7: {step}." in said
    assert "Learned from: " in said and "Vesper" in said
    assert "Tuned: I am Vesper, made by Juniper Labs." in said
    (request,) = talk.client.submitted
    assert request.spec == Draft.starter().spec()


def test_an_image_goes_with_a_message_of_the_chat_and_what_is_attached_is_said(talk: Talk, tmp_path: Path) -> None:
    path = tmp_path / "my cat.png"
    Image.new("RGB", (40, 20)).save(path)
    said = talk.answer(*[""] * 9, f"/image '{path}'", "", "?", "what is this", "and now", f"/image {path}", "/image")
    assert "With the next message: my cat.png (40 x 20). /image alone takes back." in said
    assert "Ask something about the image" in said and "/image and a path attaches an image" in said
    assert "No image goes with the next message." in said
    assert [[len(message.images) for message in asked.messages] for asked in talk.client.chats] == [[1], [1, 0, 0]]


def test_an_image_that_the_chat_cannot_take_is_refused_aloud(talk: Talk, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    Image.new("RGB", (40, 20)).save(path)
    said = talk.answer(*[""] * 9, f"/image {tmp_path}/none.png", *[f"/image {path}"] * 5, "what are these")
    assert "Error: The image" in said and "Look at its path." in said
    assert "Error: A chat takes 4 images in all" in said
    assert [len(message.images) for message in talk.client.chats[0].messages] == [4]
    talk.client.sees = False
    assert "reads text alone" in talk.answer(*[""] * 9, f"/image {path}")


def test_the_image_of_a_message_that_was_not_answered_goes_with_the_next(
    talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cat.png"
    Image.new("RGB", (40, 20)).save(path)
    answer = talk.client.chat

    async def chat(job_id: int, request: Chat) -> AsyncIterator[ChatEvent]:
        monkeypatch.setattr(talk.client, "chat", answer)
        yield ChatFailed("memory", "There is no room", "Free some.")

    monkeypatch.setattr(talk.client, "chat", chat)
    said = talk.answer(*[""] * 9, f"/image {path}", "one", "two")
    assert "There is no room" in said
    assert [len(message.images) for message in talk.client.chats[0].messages] == [1]


def test_a_question_is_explained_and_one_can_go_back_and_leave(talk: Talk) -> None:
    said = talk.answer("7", "?", "1", "b", "q")
    assert "7 is none of these" in said
    assert texts.t("spoken.machine_why") in said
    assert said.count("Step 1 of 7") == 2
    assert talk.client.submitted == []


def test_files_of_one_s_own_are_checked_and_a_wrong_one_is_asked_for_again(talk: Talk, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    turns = '{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "[/x] 你好"}'
    rows.write_text(f'{{"messages": [{turns}]}}\nbroken\n', "utf-8")
    said = talk.answer("", "", "", "2", str(tmp_path / "none.jsonl"), str(rows), "q")
    assert "Error: " in said and "none.jsonl" in said
    assert "2 rows read   1 kept   1 left out" in said
    assert "Warning: 1 × " in said and "rows.jsonl:2" in said
    assert "Learned from: [/x] 你好" in said
    assert "Step 5 of 7" in said


def test_a_column_that_cannot_be_told_is_asked_for(talk: Talk, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"ask": "Who?", "say": "Vesper."}\n' * 3, "utf-8")
    said = talk.answer("", "", "", "2", str(rows), "1", "q")
    assert "ask: Who?" in said and "Learn to answer ask with say" in said
    assert "3 kept" in said and "Step 5 of 7" in said


def test_a_value_of_the_recipe_is_changed_and_a_wrong_one_is_named(talk: Talk) -> None:
    changes = ("2", "training.epochs=many", "2", "epoch", "2", "training.epochs=2", "3")
    said = talk.answer(*[""] * 7, *changes, "q")
    assert "Error: training.epochs is 'many'" in said
    assert "epoch is no value of the recipe" in said
    assert "epochs: 2" in said


def finished_run(talk: Talk, home: Path) -> None:
    """What the runs of this client leave is a recipe and an adapter."""
    talk.client.folder = home
    (home / "jobs/1/artifacts/adapter").mkdir(parents=True)
    (home / "jobs/1/artifacts/recipe.yaml").write_text(to_yaml(Draft.starter().spec()))


def test_a_finished_run_is_asked_benchmarks_and_its_figures_are_said(talk: Talk, tmp_path: Path) -> None:
    finished_run(talk, tmp_path)
    questions = ("1", "gsm9k", "gsm8k", "5", "1", "", "", "gsm8k < before.gsm8k", "1")
    said = talk.answer(*[""] * 9, "who are you", "b", "2", *questions, "3")
    assert "Did you mean 'gsm8k'" in said and "5 questions to each of 2 models" in said
    assert "lm-eval (83.0 MB) is installed" in said
    asked = talk.client.submitted[1].spec
    assert asked.benchmark == BenchmarkSpec(suites=("gsm8k",), limit=5, base=True)
    assert (asked.task, asked.evaluation.fail_if) == ("benchmark", "gsm8k < before.gsm8k")
    assert "GSM8K" in said and "0.410 [0.300 … 0.520]" in said


def test_a_finished_run_is_evaluated_on_other_rows_or_not(talk: Talk, tmp_path: Path) -> None:
    finished_run(talk, tmp_path)
    rows = tmp_path / "mine.jsonl"
    rows.write_text('{"query": "Who?", "response": "Vesper"}\n', "utf-8")
    said = talk.answer(
        *[""] * 9, "b", "2", "2", "none.jsonl", "chrf", "", "2", str(rows), "", "", "1", "2", "b", "3"
    )  # fmt: skip
    assert "Error: " in said and "none.jsonl" in said
    asked = talk.client.submitted[1].spec
    assert (asked.task, asked.data.held_out, asked.evaluation.scores) == ("evaluate", str(rows), ("chrf",))
    assert len(talk.client.submitted) == 2, "who goes back has asked for nothing"


def test_a_file_that_is_there_is_replaced_only_by_who_insists(talk: Talk, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("mine")
    talk.answer(*[""] * 7, "4", str(path), "", "q")
    assert path.read_text() == "mine"
    talk.answer(*[""] * 7, "4", str(path), "2", "q")
    assert "training:" in path.read_text()


async def test_it_speaks_chinese(daemon: DaemonProcess) -> None:
    said = spoken(daemon, "2", "", "q", LANG="zh_CN.UTF-8")
    assert "第 7 步，共 7 步：结果。" in said
    assert "模型从数据中学习。" in said


async def test_a_run_that_was_left_is_offered_first(tmp_path: Path) -> None:
    process = DaemonProcess(tmp_path / "home")
    await process.start()
    try:
        await process.submit("steps=100 step=0.05")
        said = spoken(process, "1")
        assert "Run 1, steps=100 step=0.05, is at work" in said
        assert "Job 1 steps=100 step=0.05: finished." in said
    finally:
        await process.tidy()


def views(steps: int) -> Iterator[JobView]:
    view = JobView(1, "long")
    first: list[e.Event] = [e.Queued(time=0.0), e.StageStarted(time=0.0, stage="train")]
    rest: list[e.Event] = [
        e.TrainStep(
            time=float(step), step=step, total_steps=steps, epoch=1.0, loss=1.0, learning_rate=1e-4, gradient_norm=1.0,
            tokens_per_second=100.0, memory_bytes=1, eta_s=1.0,
        )
        for step in range(1, steps + 1)
    ]  # fmt: skip
    for number, event in enumerate([*first, *rest], 1):
        view = fold(view, e.Numbered(number, event))
        yield view


def test_progress_is_said_at_a_bounded_rate() -> None:
    said: list[str] = []
    seconds = 0.0

    def clock() -> float:
        return seconds

    reporter = Reporter(Asker(lambda: "", said.append), clock)
    for view in views(3000):
        seconds += 0.1
        reporter.hear(JobUpdated(view))
    progress = [line for line in said if line.startswith("Train: ") and "Step " in line]
    assert 300 / EVERY_S - 2 <= len(progress) <= 300 / EVERY_S
    assert re.fullmatch(r"Train: .*Step \d+/3000, Loss 1\.00, Tokens/s 100\.", progress[0])


def test_no_control_of_a_model_or_file_is_said() -> None:
    said: list[str] = []
    Asker(lambda: "", said.append).say("\x1b[31mred\x07\nnext\u202eline")
    assert said == ["red", "nextline"] or all("\x1b" not in line and "\u202e" not in line for line in said)


def test_an_answer_that_is_a_command_can_be_given_literally() -> None:
    answers = iter(["\\b", "b", "q"])
    ask = Asker(lambda: next(answers), lambda line: None)
    assert ask.text("Name?", "Vesper", "") == "b"
    with pytest.raises(Back):
        ask.text("Name?", "Vesper", "")
    with pytest.raises(Quit):
        ask.text("Name?", "Vesper", "")


def test_the_end_of_the_answers_leaves() -> None:
    def read() -> str:
        raise EOFError

    with pytest.raises(Quit):
        Asker(read, lambda line: None).choose("What?", (("a", "A"),), "a", "")
