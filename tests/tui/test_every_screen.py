"""Every screen, wide and small, in both languages, empty, busy, failed and with hostile text: each was looked at."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from histories import START, failed, finished, on_a_machine, training, waiting
from live import Alone, FakeClient
from patience import until
from planned import Fixed, unplanned
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.machine import Device, Holder, Machine, Warning
from tunesmith.tui import texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.draft import OWN, Draft
from tunesmith.tui.screens import jobs as jobs_module
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.screens.data import DataStep
from tunesmith.tui.screens.jobs import JobsScreen
from tunesmith.tui.screens.result import ResultStep
from tunesmith.tui.screens.run import RunStep
from tunesmith.tui.widgets.step_parts import Trouble

Snap = Callable[..., bool]
Act = Callable[[Pilot[None]], Awaitable[None]]
Shown = tuple[App[None], Act]
SIZES = {"wide": (120, 36), "small": (80, 24)}
HOSTILE = (
    "\x1b[31mred\x1b[0m [bold]not bold[/] [@click=app.quit]x[/] \u202egpj.exe\u202c a\x00b 字字字 👨‍👩‍👧‍👦 "
    + "Z" + "\u0335" * 40 + "algo \x9b2J " + "x" * 200 + "字" * 100
)  # fmt: skip
GB = 10**9


def hostile_run(*, ends_well: bool) -> list[e.Event]:
    """What others wrote is hostile: names of files, questions, answers, notices, the error."""
    events = finished() if ends_well else training(9)
    made = [msgspec.structs.replace(one, question=HOSTILE, answer=HOSTILE) if isinstance(one, e.Answered) else one
            for one in events]  # fmt: skip
    said = [
        e.Notice(time=START + 30, level="warning", text=HOSTILE),
        e.Answered(time=START + 31, subject="tuned", row=0, question=HOSTILE, answer=HOSTILE, correct=False),
    ]
    if ends_well:
        return [*made[:-1], *said, made[-1]]
    return [*made, *said, e.Failed(time=START + 40, code="data", message=HOSTILE, hint=HOSTILE, stage="train")]


def of_run(step: type[RunStep] | type[ResultStep], events: list[e.Event] | None) -> Shown:
    fake = FakeClient(**({} if events is None else {"identity": events}))

    async def act(pilot: Pilot[None]) -> None:
        if events is not None:
            shown = pilot.app.query_one(step)
            shown.show_job(1)
            await until(pilot, lambda: shown.view is not None)

    alone = ResultStep(fake.clients, unplanned()) if step is ResultStep else RunStep(fake.clients)
    return Alone(alone), act


def run(state: str, folder: Path) -> Shown:
    histories = {
        "empty": [e.Queued(time=START)], "busy": on_a_machine(41), "failed": failed(),
        "hostile": hostile_run(ends_well=False),
    }  # fmt: skip
    return of_run(RunStep, histories[state])


def result(state: str, folder: Path) -> Shown:
    histories = {"empty": None, "busy": training(9), "failed": failed(), "hostile": hostile_run(ends_well=True)}
    return of_run(ResultStep, histories[state])


def jobs(state: str, folder: Path) -> Shown:
    kinds = (training(41), waiting(), finished(), failed())
    busy = {f"night-{number}": kinds[number % len(kinds)] for number in range(40)}
    histories: Mapping[str, dict[str, list[e.Event]]] = {
        "empty": {}, "busy": busy, "failed": {"identity": failed()},
        "hostile": {HOSTILE: hostile_run(ends_well=False), "字" * 60: finished()},
    }  # fmt: skip
    fake = FakeClient(**histories[state])
    fake.down = state == "failed"

    async def act(pilot: Pilot[None]) -> None:
        screen = JobsScreen(fake.clients)
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.jobs is not None or screen.error is not None)

    return Alone(Static()), act


def chat(state: str, folder: Path) -> Shown:
    fake = FakeClient(identity=finished())
    if state == "hostile":
        fake.answer = [HOSTILE, "\n", HOSTILE]

    async def act(pilot: Pilot[None]) -> None:
        screen = ChatScreen(fake.clients, 1, name=HOSTILE if state == "hostile" else "identity")
        await pilot.app.push_screen(screen)
        await pilot.pause()
        fake.down = state == "failed"
        if state == "busy":
            fake.hold_answer.clear()
            await pilot.press("f3")
        if state != "empty":
            screen.query_one("#question", Input).value = "请问你是谁？"
            await pilot.press("enter")
            await pilot.pause(0.3)

    return Alone(Static()), act


MACHINES = {
    "empty": Machine(
        system="Linux 6.8 x86_64", cpu_name="", cores=1, simd=(), memory_bytes=0, memory_free_bytes=0,
        devices=(Device("cpu", "", 0, 0),),
        disk_free_bytes=0,
    ),
    "busy": Machine(
        system="Linux 6.8 x86_64", cpu_name="AMD EPYC 9354", cores=32, simd=("avx2", "avx512f", "amx_bf16"),
        memory_bytes=256 * GB, memory_free_bytes=9 * GB,
        devices=tuple(
            Device("cuda", "NVIDIA H100 80GB HBM3", 80 * GB, (80 - 10 * number) * GB, "sm90", index=number,
                   capability=(9, 0), temperature_c=71, power_watts=611.0, power_limit_watts=700.0,
                   used_by=(Holder(4242 + number, "python3", 10 * number * GB),))
            for number in range(4)
        ),
        disk_free_bytes=900 * GB,
    ),
    "failed": Machine(
        system="Linux 6.8 x86_64", cpu_name="Intel Atom", cores=2, simd=(), memory_bytes=2 * GB,
        memory_free_bytes=GB // 3, devices=(Device("cpu", "Intel Atom", 2 * GB, GB // 3),), disk_free_bytes=GB // 5,
        warnings=(
            Warning(
                "Only 0.3 GB of memory are free; the starter needs about 3 GB", "Close other programs.",
                "little_memory", (("free", "0.3 GB"),),
            ),
            Warning(
                "Only 0.2 GB of disk are free", "Free space, or set TUNESMITH_HOME elsewhere.",
                "little_disk", (("free", "0.2 GB"),),
            ),
        ),
    ),
    "hostile": Machine(
        system=HOSTILE, cpu_name=HOSTILE, cores=8, simd=("avx2",), memory_bytes=32 * GB, memory_free_bytes=24 * GB,
        devices=(Device("cuda", HOSTILE, 24 * GB, 20 * GB, "sm89", index=0, used_by=(Holder(1, HOSTILE, GB),)),),
        disk_free_bytes=40 * GB, warnings=(Warning(HOSTILE, HOSTILE),),
    ),
}  # fmt: skip

FOUND_OUT = ("badges", "plan", "model-check")


def wizard(key: str, draft: Draft | None = None, machine: str = "busy") -> Shown:
    app = TunesmithApp(Home(Path("/nowhere")), draft, machine=MACHINES[machine], live=False)

    async def act(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await pilot.pause(0.2)
        await until(pilot, lambda: all(w.is_finished for w in app.workers if w.group in FOUND_OUT))
        for step in app.screen.query(DataStep):
            trouble = step.query_one("#data-trouble", Trouble)
            await until(pilot, lambda step=step, t=trouble: step.report or t.display or not step.draft.data_file)

    return app, act


def machine(state: str, folder: Path) -> Shown:
    return wizard("f1", machine=state)


def model(state: str, folder: Path) -> Shown:
    draft = Draft.starter()
    draft.model, draft.model_folder = OWN, {"empty": "", "failed": "/missing/model", "hostile": HOSTILE}[state]
    return wizard("f3", draft)


def data(state: str, folder: Path) -> Shown:
    rows = [{"messages": [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": HOSTILE}]}] * 3
    Path("rows.jsonl").write_text("\n".join([*map(json.dumps, rows), "{", HOSTILE]) + "\n", "utf-8")
    draft = Draft.starter()
    draft.data, draft.data_file = OWN, {"empty": "", "failed": "nowhere.jsonl", "hostile": "rows.jsonl"}[state]
    return wizard("f4", draft)


def recipe(state: str, folder: Path) -> Shown:
    draft = Draft.starter()
    if state == "hostile":
        draft.typed["name"] = HOSTILE
        draft.persona_name = draft.persona_maker = HOSTILE
    return wizard("f5", draft)


SCREENS: Mapping[str, tuple[Callable[[str, Path], Shown], tuple[str, ...]]] = {
    "machine": (machine, ("empty", "busy", "failed", "hostile")),
    "model": (model, ("empty", "failed", "hostile")),
    "data": (data, ("empty", "failed", "hostile")),
    "recipe": (recipe, ("busy", "failed", "hostile")),
    "run": (run, ("empty", "busy", "failed", "hostile")),
    "result": (result, ("empty", "busy", "failed", "hostile")),
    "jobs": (jobs, ("empty", "busy", "failed", "hostile")),
    "chat": (chat, ("empty", "busy", "failed", "hostile")),
}
CASES = [(name, state) for name, (_, states) in SCREENS.items() for state in states]


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TZ", "UTC")
    jobs_module.time.tzset()
    monkeypatch.setattr(jobs_module.time, "time", lambda: START + 75)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize(("name", "state"), CASES, ids=[f"{name}-{state}" for name, state in CASES])
def test_it_looks_right(
    snap_compare: Snap, still: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, state: str, size: str,
    language: str,
) -> None:  # fmt: skip
    Fixed(fits=(name, state) != ("recipe", "failed"))(monkeypatch)
    texts.use(language)
    app, act = SCREENS[name][0](state, tmp_path)

    async def look(pilot: Pilot[None]) -> None:
        await pilot.pause()
        await act(pilot)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause(0.3)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=look)
