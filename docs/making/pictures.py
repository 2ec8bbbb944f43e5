"""The documents' pictures: the wizard itself over a real daemon, with a machine and a clock that stand still.

A worker that follows a script (tests/fakes/scripted_worker.py) says what a run says, so a picture changes when the
wizard does and never by itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/fakes"))

import beside
from daemon_process import DaemonProcess
from histories import FORECAST, START, on_a_machine
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import Worker

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import places
from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.job_recipe import recipe_of
from tunesmith.daemon.api.listing import JobLine, Lines
from tunesmith.daemon.api.requests import DaemonStatus
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.machine import Device, Machine
from tunesmith.recipes.measured import Measured, Rate, Surface
from tunesmith.recipes.spec import TrainingSpec
from tunesmith.tui import evaluating, merging, models_here, texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.draft import OWN, Draft
from tunesmith.tui.picture import svg
from tunesmith.tui.screens import compare
from tunesmith.tui.screens.evaluate import EvaluateScreen
from tunesmith.tui.screens.help import key_lines
from tunesmith.tui.screens.machines import MachinesScreen
from tunesmith.tui.screens.merge import MergeScreen
from tunesmith.tui.screens.models import ModelsScreen

HOME = Path("/home/ada/.local/share/tunesmith")
FOLDER = Path(__file__).parents[1] / "pictures"
SIZE = (118, 34)
MINUTES = 60.0
OWN_ROWS = "questions.jsonl"
MACHINE = Machine(
    system="Linux 6.8 x86_64", cpu_name="AMD Ryzen 7 7840U", cores=8, simd=("avx2", "avx512f"),
    memory_bytes=32_000_000_000, memory_free_bytes=24_000_000_000,
    devices=(Device("cpu", "AMD Ryzen 7 7840U", 32_000_000_000, 24_000_000_000),), disk_free_bytes=410_000_000_000,
)  # fmt: skip
MEASURED = Measured(
    torch="2.13", device="cpu", surface=Surface(), products={"float32": Rate(610e9), "bfloat16": Rate(121e9)},
    memory_copy=Rate(41e9), disk_write=Rate(1.4e9), works={}, seconds=20.0,
)  # fmt: skip
# The last one is at work; the third learns faster than the first.
JOBS = {
    "whole run": TrainingSpec(), "broken run": TrainingSpec(), "better run": TrainingSpec(learning_rate=4e-4),
    "identity": TrainingSpec(),
}  # fmt: skip
SAID = (
    ("When do you open?", "At nine, every day but Sunday."),
    ("Do you repair boots?", "Yes, within three days."),
    ("May I pay by card?", "By card, in cash, or by invoice."),
    ("Where are you?", "At the old mill, by the bridge."),
    ("Do you ship abroad?", "To every country that the post reaches."),
    ("Is the shop open in August?", "All month, from nine to noon."),
    ("Can I bring it back?", "Within thirty days, worn or not."),
    ("Who founded you?", "Ada Miller, in 1987."),
    ("What leather is it?", "Oak-tanned, from one herd."),
    ("请问几点开门？", "每天九点，周日除外。"),
)
Act = Callable[[Pilot[None]], Awaitable[None]]


class Still(Client):
    """The daemon's answers with the script's times, its gauges and one home, whatever this machine's are."""

    async def job(self, job_id: int) -> JobView:
        return still(await super().job(job_id))

    async def jobs(self) -> list[JobView]:
        return [still(view) for view in await super().jobs()]

    async def lines(self, after: str = "") -> Lines:
        found = await super().lines(after)
        return msgspec.structs.replace(found, lines=tuple(still_line(line) for line in found.lines))

    async def events(self, job_id: int, after: int = 0, gaps: bool = False) -> AsyncIterator[e.Numbered]:
        async for numbered in super().events(job_id, after, gaps):
            if not isinstance(numbered.event, e.Gauged):
                yield numbered


def still_line(line: JobLine) -> JobLine:
    began = START + line.id * 45 * MINUTES
    return msgspec.structs.replace(
        line, name=line.name.partition(" ")[0], created=began, started=began + 1,
        ended=began + 139.0 if line.ended_already else None,
    )  # fmt: skip


def still(view: JobView) -> JobView:
    began = START + view.id * 45 * MINUTES
    gauges = next(event for event in on_a_machine(1) if isinstance(event, e.Gauged))
    at_work = not view.ended_already
    return msgspec.structs.replace(
        view, name=view.name.partition(" ")[0], created=began, started=began + 1,
        ended=None if at_work else began + 139.0, pid=4242, folder=str(HOME / "jobs" / str(view.id)),
        gauges=msgspec.structs.replace(gauges, device_share=None, device_used_bytes=None, device_bytes=None,
                                       temperature_c=None, power_watts=None) if at_work else None,
        forecast=FORECAST if at_work else view.forecast,
    )  # fmt: skip


class Shot(NamedTuple):
    """What is pressed before the picture is taken; `job` is the run that the wizard comes back to.

    `measured` is what the machine's products were found to take: only where no plan hangs on it.
    """

    keys: tuple[str, ...] = ()
    job: int | None = None
    own_data: bool = False
    measured: Measured | None = None
    then: Act | None = None


async def ask(pilot: Pilot[None]) -> None:
    pilot.app.screen.query_one("#question", Input).value = "Who made you?"
    await pilot.press("enter")


async def weigh(pilot: Pilot[None]) -> None:
    await pilot.press("w")
    while not isinstance(pilot.app.screen, MergeScreen):  # until the runs' recipes are read
        await pilot.pause(0.05)
    await pilot.pause()
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    await pilot.press("delete", "0", ".", "7", "enter", "delete", "0", ".", "3")


async def choose(pilot: Pilot[None]) -> None:
    await pilot.press("e")
    while not isinstance(pilot.app.screen, EvaluateScreen):  # until the run's recipe is read
        await pilot.pause(0.05)
    await pilot.pause()
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    await pilot.press("tab", *"gsm8k", "comma", *"ifeval")


SHOTS: Mapping[str, Shot] = {
    "machine": Shot(),
    "goal": Shot(("2",)),
    "model": Shot(("3",)),
    "catalogue": Shot(("3", "tab", "tab", "enter")),
    "own-data": Shot(("4",), own_data=True),
    "recipe": Shot(("5",)),
    "run": Shot(job=4),
    "computing": Shot(("w",), job=4),
    "failed": Shot(job=2),
    "result": Shot(("7",), job=1),
    "evaluate": Shot(("7",), job=1, then=choose),
    "jobs": Shot(("j",), job=1),
    "compare": Shot(("j", "down", "space", "down", "down", "space", "v"), job=1),
    "merge": Shot(("j", "down", "space", "down", "down", "space"), job=1, then=weigh),
    "models": Shot(("m",)),
    "machines": Shot(("k",), measured=MEASURED),
    "settings": Shot(("comma",)),
    "chat": Shot(("7", "t"), job=1, then=ask),
    "help": Shot(("question_mark",)),
}
LANGUAGES = ("en", "zh")


class Taken(NamedTuple):
    """`keys` are what can be pressed there and what it does."""

    name: str
    language: str
    svg: str
    keys: tuple[tuple[str, str], ...]

    @property
    def file(self) -> Path:
        return FOLDER / (f"{self.name}.svg" if self.language == "en" else f"{self.name}.{self.language}.svg")


def pictures(names: tuple[str, ...] = tuple(SHOTS), languages: tuple[str, ...] = LANGUAGES) -> list[Taken]:
    return asyncio.run(_pictures(names, languages))


async def _pictures(names: tuple[str, ...], languages: tuple[str, ...]) -> list[Taken]:
    made: list[Taken] = []
    before, language, clock = Path.cwd(), texts.language(), time.time
    with tempfile.TemporaryDirectory() as folder:
        _settle_environment(Path(folder))
        os.chdir(folder)
        _write_rows(Path(OWN_ROWS))
        daemon = DaemonProcess(
            Path(folder) / "home", TUNESMITH_WORKER_MODULE="scripted_worker", TUNESMITH_ENGINE_MODULE="scripted_chat"
        )
        await daemon.start()
        time.time = lambda: START + len(JOBS) * 45 * MINUTES + 62
        try:
            for number, (job, training) in enumerate(JOBS.items(), 1):
                await daemon.submit(job, training=training)
                await daemon.until(number, "finished", "failed", "running")
            await daemon.until_step(len(JOBS), 41)
            model = daemon.home.job(1) / "artifacts" / "model-q8_0.gguf"
            model.parent.mkdir(parents=True, exist_ok=True)
            model.write_bytes(b"GGUF")
            model.with_name("recipe.yaml").write_bytes((daemon.home.job(1) / "recipe.yaml").read_bytes())
            with _beside(daemon.home):
                for code in languages:
                    texts.use(code)
                    for name in names:
                        made.append(Taken(name, code, *await _picture(SHOTS[name], daemon)))
        finally:
            await daemon.tidy()
            texts.use(language)
            os.chdir(before)
            time.time = clock
    return made


def _beside(home: Home) -> ExitStack:
    """A cache of models and places that are made up; recipes come from where the daemon really keeps them."""
    made_up = ExitStack()
    for where, name, said in (
        (models_here, "look", lambda home: beside.SEVERAL),
        (places, "places", lambda home: beside.PLACES),
        (places, "measured", lambda home: iter(beside.COUNTED)),
        (compare, "recipe_of", lambda view: recipe_of(msgspec.structs.replace(view, folder=str(home.job(view.id))))),
        (merging, "artifacts", lambda run: home.job(run.id)),
        (evaluating, "artifacts", lambda run: home.job(run.id) / "artifacts"),
    ):
        made_up.enter_context(patch.object(where, name, said))
    return made_up


async def _daemon_status() -> DaemonStatus:
    return beside.STATUS


async def _picture(shot: Shot, daemon: DaemonProcess) -> tuple[str, tuple[tuple[str, str], ...]]:
    draft = Draft.starter()
    if shot.own_data:
        draft.data, draft.data_file = OWN, OWN_ROWS
    app = TunesmithApp(Home(HOME), draft, job_id=shot.job, machine=MACHINE, live=False)
    app.client = Still(daemon.home.socket)
    app.planning.measured = shot.measured
    app.daemon_status = _daemon_status  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        for key in shot.keys:
            await pilot.press(key)
            await settled(pilot)
        if shot.then is not None:
            await shot.then(pilot)
            await settled(pilot)
        await pilot.pause(0.2)
        made, keys = svg(app, "tunesmith"), tuple(key_lines(app.screen))
    await app.client.close()
    return made, keys


async def settled(pilot: Pilot[None]) -> None:
    """Nothing more is being found out, and three looks in a row show the same. Raises TimeoutError."""
    seen, same, deadline = "", 0, time.monotonic() + 60
    while same < 3:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{pilot.app.screen} does not come to rest: {[*map(str, pilot.app.workers)]}")
        for field in pilot.app.screen.query(Input):
            field.cursor_blink = False  # on a busy machine no three looks fall between two blinks
        await pilot.pause(0.15)
        at_work = any(worker.group in WAITED and not _found_out(worker) for worker in pilot.app.workers)
        at_work |= any(getattr(step, "view", ...) is None for step in pilot.app.query("RunStep, ResultStep"))
        at_work |= bool(pilot.app.screen.query("ChatPane.-busy"))
        shown = pilot.app.export_screenshot()
        same = same + 1 if shown == seen and not at_work else 0
        seen = shown


def _found_out(worker: Worker[object]) -> bool:
    """The screens beside the rail look again and again, for as long as they are open: once is enough."""
    screen = worker.node
    once = (isinstance(screen, ModelsScreen) and screen.rows is not None) or (
        isinstance(screen, MachinesScreen) and screen.looked
    )
    return once or worker.is_finished


WAITED = ("badges", "plan", "data-check", "data-columns", "model-check", "refresh", "look", "preview")


def _write_rows(path: Path) -> None:
    """Ten good rows, one that says the same again, one without an answer and one that is no JSON."""
    rows = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in (*SAID, SAID[0])
    ]
    rows.append({"messages": [{"role": "user", "content": "And on Mondays?"}]})
    lines = [msgspec.json.encode(row).decode() for row in rows]
    path.write_text("\n".join([*lines, '{"messages": [{"role": "user"']) + "\n", "utf-8")


def _settle_environment(folder: Path) -> None:
    os.environ |= {
        "TEXTUAL_ANIMATIONS": "none", "TZ": "UTC", "TUNESMITH_HOME": str(folder / "home"),
        "HF_HUB_CACHE": str(folder / "huggingface"), "MODELSCOPE_CACHE": str(folder / "modelscope"),
    }  # fmt: skip
    time.tzset()
