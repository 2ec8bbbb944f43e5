"""F7: hostile text through every screen, table and JSON: nothing reaches the terminal, acts, or breaks a layout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from beside import here, incomplete, snapshot
from histories import failed, finished, training
from live import FakeClient
from patience import until
from planned import on_cpu
from textual.pilot import Pilot
from textual.screen import Screen
from tools import call

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.compare import compare
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import DaemonStatus
from tunesmith.daemon.api.settings import SettingsError
from tunesmith.daemon.api.tools import Function, Tool
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.errors import DataError, TunesmithError
from tunesmith.recipes.machine import Device, Warning
from tunesmith.recipes.spec import JobSpec, complete, to_yaml
from tunesmith.tui import app as app_module
from tunesmith.tui import models_here
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.cli import comparing, data_text, errors, progress, render
from tunesmith.tui.data_preview import Piece, ShownPart, ShownRow
from tunesmith.tui.evaluating import look as look_at
from tunesmith.tui.evaluation_form import KINDS, EvaluationForm
from tunesmith.tui.model_work import Ended, ModelWork, Now
from tunesmith.tui.plain import plain, well_formed
from tunesmith.tui.screens.ask import AskScreen
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.screens.compare import CompareScreen
from tunesmith.tui.screens.copy import CopyScreen, offers
from tunesmith.tui.screens.evaluate import EvaluateScreen
from tunesmith.tui.screens.jobs import JobsScreen
from tunesmith.tui.screens.machines import MachinesScreen
from tunesmith.tui.screens.models import ModelsScreen
from tunesmith.tui.screens.pick import PickScreen
from tunesmith.tui.screens.settings import SettingsScreen
from tunesmith.tui.screens.yaml_view import YamlScreen
from tunesmith.tui.widgets.row_preview import RowPreview
from tunesmith.tui.widgets.step_parts import Trouble

TEXTS = {
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07after",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07after",
    "link": "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "device": "\x1bPq#0\x1b\\sixel\x1b_Gpayload\x1b\\",
    "c0": "".join(map(chr, range(32))) + "\x7f",
    "c1": "".join(map(chr, range(128, 160))) + "\x9b31mred\x9d0;owned\x9c",
    "cursor": "\x1b[2J\x1b[H\x1b[?1049h\x1b7\x1bc",
    "closing_tag": "[/foo] [/] [bold",
    "action": "[@click=app.quit]x[/]",
    "link_tag": "[link=file:///etc/passwd]y[/link]",
    "style_tag": "[red on blue reverse]z[/]",
    "emoji_code": ":bomb: :not_one:",
    "right_to_left": "abc\u202egpj.exe\u202c\u2066x\u2069\u200f",
    "no_width": "zero\u200bwidth\u2060join\ufeffed",
    "accents": "Z" + "\u0335\u0489" * 400 + "algo",
    "surrogates": "half \ud83d and \udcff",
    "long_word": "x" * 20_000,
    "long_wide_word": "字" * 10_000,
    "family": "👨‍👩‍👧‍👦 " * 50 + "🏴\U000e0067\U000e0062\U000e007f",
    "nul": "a\x00b",
    "returns": "safe\rEVIL\r\nnext\n\n\n\ttab\x0b\x0c\x85\u2028\u2029end",
    "empty": "",
    "blank": " \n\t ",
    "format": "{0} {error} %s %n ${HOME} {",
}
# An escape that we did not write: anything but SGR, and SGR that Textual's own styles would not need is not told apart.
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MISLEADING = re.compile("[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
SIZES = ((100, 40), (40, 12))


def spoiled(value: Any, text: str) -> Any:
    """An event with `text` in each of its texts that others write."""
    ours = {"stage", "unit", "level", "state", "subject", "set_name", "device", "part", "dtype", "tag"}
    changes: dict[str, Any] = {}
    for name in value.__struct_fields__:
        old = getattr(value, name)
        if isinstance(old, str) and name not in ours:
            changes[name] = text
        elif isinstance(old, tuple) and name == "paths":
            changes[name] = tuple(spoiled(item, text) for item in old)
    return msgspec.structs.replace(value, **changes)


def history(text: str, base: list[e.Event]) -> list[e.Event]:
    return [spoiled(event, text) for event in base]


class Spoiled(FakeClient):
    """A daemon whose jobs have hostile names, logs and answers."""

    def __init__(self, text: str) -> None:
        super().__init__(
            whole=history(text, finished()), broken=history(text, failed()), running=history(text, training(9))
        )
        self.text = self.log_text = text
        self.answer = [text, *text[:50]]

    async def job(self, job_id: int) -> JobView:
        return msgspec.structs.replace(await super().job(job_id), name=self.text, folder=f"/tmp/{self.text}")


class Wizard(TunesmithApp):
    """The real app on a daemon of ours."""

    CSS_PATH = str(Path(app_module.__file__).with_name("app.tcss"))

    def __init__(self, home: Path, client: FakeClient) -> None:
        super().__init__(Home(home), live=False)
        self.fake = client

    async def daemon(self) -> Any:
        return self.fake


def drawn(app: TunesmithApp) -> str:
    """What would be sent to the terminal for the whole screen, styles left out; it has as many lines as the screen."""
    lines = app.screen._compositor.render_strips()
    assert len(lines) == app.size.height
    assert all(line.cell_length <= app.size.width for line in lines)
    return "\n".join(line.text for line in lines)


def harmless(app: TunesmithApp) -> None:
    shown = drawn(app)
    assert not STEERING.search(shown.replace("\n", ""))
    assert not MISLEADING.search(shown)
    assert app.is_running and app._exception is None


@pytest.fixture(params=TEXTS.values(), ids=TEXTS.keys())
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def look(pilot: Pilot[None], app: TunesmithApp) -> None:
    await pilot.pause(0.05)
    harmless(app)


async def test_every_screen_shows_it_as_nothing_but_text(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    client = Spoiled(text)
    app = Wizard(tmp_path, client)
    async with app.run_test(size=SIZES[0]) as pilot:
        for job_id in (3, 2):
            await app.show_run(job_id, runs=False)
            await look(pilot, app)
        await app.frame.open("result")
        from tunesmith.tui.screens.result import ResultStep

        app.frame.query_one(ResultStep).show_job(1)
        await look(pilot, app)
        app.frame.query_one("#trouble", Trouble).show(text, text)
        app.notify(text, markup=False)
        await app.frame.open("data")
        preview = RowPreview()
        await app.frame.query_one("#step-data").mount(preview)
        preview.rows = (ShownRow(f"{text}:1", (ShownPart("text", (Piece(text, "plain"),), trouble=text),), text),)
        await look(pilot, app)
        for screen in (
            JobsScreen(client.clients), ChatScreen(client.clients, 1), YamlScreen(f"name: {text}\nx"),
            PickScreen(tmp_path, (".jsonl",)), CompareScreen(client.clients, 1, 3),
            CopyScreen(offers(await client.job(1))), *evaluating(app, client, await client.job(1), text),
            *beside(app, text, monkeypatch),
        ):  # fmt: skip
            await app.push_screen(screen)
            await pilot.pause(0.05)
            if isinstance(screen, ChatScreen):
                screen.attached = image = (Attached(text, 1, 1, "data:"),)
                whole = well_formed(text)  # a file of tools with half a character is refused
                screen.tools = (Tool(Function(whole, whole, {"properties": {whole: {}}})),)
                client.calls = {False: (call(text, text), call(text, json.dumps({text: text})))}
                for pane in screen.panes:
                    pane.ask(text or "?", text, image, screen.tools)
                await until(pilot, lambda screen=screen: screen.line.wanted is not None)
                await look(pilot, app)
                screen.line.value = text or "?"
                screen.panes[0].give(text or "?")
                await pilot.pause(0.1)
            await look(pilot, app)
            await pilot.resize_terminal(*SIZES[1])
            await look(pilot, app)
            await pilot.resize_terminal(*SIZES[0])
            app.pop_screen()


def evaluating(app: Wizard, client: FakeClient, run: JobView, text: str) -> list[Screen[None]]:
    """The window that evaluates a finished run, with `text` wherever a person types: by benchmarks, and by rows."""
    run = msgspec.structs.replace(run, folder=str(app.home.root))  # with a recipe that can be read
    artifacts = app.home.root / "artifacts"
    (artifacts / "adapter").mkdir(parents=True)
    (artifacts / "recipe.yaml").write_text(to_yaml(complete(JobSpec())))
    found: list[Screen[None]] = []
    for kind in KINDS:
        form = EvaluationForm(look_at(app.home, run))
        form.kind, form.data = kind, text
        for value in form.asked():
            form.set(value, text)
        found += [EvaluateScreen(client.clients, form, app.planning)]
    return found


def beside(app: Wizard, text: str, monkeypatch: pytest.MonkeyPatch) -> list[Screen[None]]:
    """The screens of the cache, of machines and of settings, with `text` wherever somebody else writes."""
    one = snapshot("modelscope", text or "x", 12, text or "x", origin=text)
    found = here(one, begun=(incomplete(text or "x", 9, 3),), runs={0: [1, 2]})
    monkeypatch.setattr(models_here, "look", lambda home: found)
    doing = ModelWork(app.home, app)
    doing.checked[one.folder] = (text,)
    doing.ended = Ended("pull", text, DataError(text, text).body())
    waits = ModelWork(app.home, app)
    waits.now = Now("pull", text, "waiting", waits=text)
    app.preferences.environment = {"TUNESMITH_HUB": text}
    app.preferences.error = SettingsError(text, text)
    app.planning.machine = on_cpu(16, 10)
    app.planning.machine = msgspec.structs.replace(
        app.planning.machine, cpu_name=text, warnings=(Warning(text, text),), devices=(Device("cuda", text, 9, 8),)
    )
    status = DaemonStatus(1, text, text, 1, 1.0, {text: 2}, text)

    async def asked() -> DaemonStatus:
        return status

    async def refused() -> DaemonStatus:
        raise TunesmithError(text, text)

    return [
        ModelsScreen(app.home, doing, app.daemon), ModelsScreen(app.home, waits, app.daemon),
        MachinesScreen(app.planning, asked, app.plan_for), MachinesScreen(app.planning, refused, app.plan_for),
        SettingsScreen(app.home, app.preferences, app.settle), AskScreen(text, text, value=text, placeholder=text),
    ]  # fmt: skip


async def test_files_may_be_called_anything(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    made = 0
    for text in TEXTS.values():
        try:
            (folder / (text.replace("/", "_")[:60] + ".jsonl")).write_text("{}")
            made += 1
        except (OSError, ValueError):  # no name may hold a NUL
            continue
    assert made >= 18
    app = Wizard(tmp_path, Spoiled(""))
    async with app.run_test(size=SIZES[0]) as pilot:
        await app.push_screen(PickScreen(folder, (".jsonl",)))
        await pilot.pause(0.3)
        harmless(app)
        assert "[@click=app.quit]" in drawn(app)
        await pilot.click("VisibleTree", offset=(8, 3))
        assert app.is_running


def view(text: str, base: list[e.Event]) -> JobView:
    job = JobView(1, text, folder=f"/tmp/{text}")
    for number, event in enumerate(history(text, base), 1):
        job = fold(job, e.Numbered(number, event))
    return job


PRINTED: dict[str, Callable[[str], None]] = {
    "jobs list": lambda text: render.out().print(render.jobs_table([view(text, finished()), view(text, failed())])),
    "jobs show": lambda text: render.out().print(render.job_text(view(text, failed()))),
    "result": lambda text: render.print_result(view(text, finished())),
    "compare": lambda text: comparing.show(compare(view(text, finished()), view(f"{text}2", failed()), None, None)),
    "logs": render.print_plain,
    "notices": lambda text: render.err().print(progress.picture(view(text, training(9)))) or None,
    "error": lambda text: errors.report("x", text, text, 1, as_json=False) and None,
    "label": lambda text: data_text.fact(render.out(), "label", text),
}


@pytest.mark.parametrize("command", PRINTED)
def test_every_table_prints_it_as_nothing_but_text(
    text: str, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    PRINTED[command](text)
    said = "".join(capsys.readouterr())
    ours = re.sub(r"\x1b\[[0-9;]*m", "", said)  # Rich's colours; TEXTS has sequences of other kinds beside them
    assert not STEERING.search(ours.replace("\n", "").replace("\t", ""))
    assert not MISLEADING.search(ours)


def test_no_colour_of_theirs_is_taken_for_one_of_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    for printed in PRINTED.values():
        printed("\x1b[31mred\x1b[0m")
    assert "\x1b" not in "".join(capsys.readouterr())


def test_json_says_it_whole_and_in_characters_that_no_terminal_obeys(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    render.print_json({"name": text})
    errors.report("x", text, "", 1, as_json=True)
    first, last = capsys.readouterr().out.splitlines()
    assert json.loads(first)["name"] == text
    assert json.loads(last)["error"]["message"] == text
    assert not STEERING.search(first + last) and not MISLEADING.search(first + last)


def test_what_is_made_harmless_stays_so_and_keeps_what_can_be_read(text: str) -> None:
    shown = plain(text)
    assert plain(shown) == shown
    assert not STEERING.search(shown.replace("\n", "")) and not MISLEADING.search(shown)
    assert len(shown) <= 4 * len(text)


def test_a_fault_of_ours_is_a_sentence_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path))
    assert errors.internal(ZeroDivisionError("by \x1b[31mnought"), as_json=False) == errors.OURS
    said = "".join(capsys.readouterr())
    assert "by nought" in said and "Traceback" not in said and "cli.log" in said.replace("\n", "")
    assert "ZeroDivisionError" in (tmp_path / "cli.log").read_text("utf-8")


async def test_a_fault_of_ours_is_a_sentence_in_the_wizard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = Wizard(tmp_path, Spoiled(""))

    def fail() -> None:
        raise ZeroDivisionError("by \x1b[31mnought [/foo]")

    with pytest.raises(ZeroDivisionError):
        async with app.run_test() as pilot:
            app.call_later(fail)
            await pilot.pause(0.2)
    said = capsys.readouterr().err
    assert "by nought [/foo]" in said and "wizard.log" in said.replace("\n", "") and "Traceback" not in said
    assert "ZeroDivisionError" in (tmp_path / "wizard.log").read_text("utf-8")
    assert app.return_code == 1


async def test_an_error_of_a_daemon_keeps_its_next_step(tmp_path: Path) -> None:
    client = Spoiled("[/foo]")
    client.broken = DataError("[/foo]", "[@click=app.quit]do this[/]")  # type: ignore[attr-defined]
    app = Wizard(tmp_path, client)
    async with app.run_test(size=SIZES[0]) as pilot:
        screen = JobsScreen(client.clients)
        await app.push_screen(screen)
        await pilot.pause(0.3)  # the first answer of the daemon has come: the next would take the error away
        screen.error = TunesmithError("[/foo]", "[@click=app.quit]do this[/]")
        await pilot.pause(0.05)
        assert "[@click=app.quit]do this[/]" in drawn(app)
