"""How the screens beside the rail look: empty, at work, failed and with hostile text."""

from __future__ import annotations

from collections.abc import Callable

import beside
import pytest
from histories import START, failed, finished, training, waiting
from live import FakeClient
from planned import on_gpu
from textual.pilot import Pilot
from textual.widgets import Input

from tunesmith.daemon.api import places
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import DaemonStatus
from tunesmith.daemon.api.settings import SettingsError
from tunesmith.recipes.errors import DaemonError, ErrorBody
from tunesmith.recipes.measured import Measured, Rate, Surface
from tunesmith.tui import models_here
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.messages import StartRun
from tunesmith.tui.model_work import Ended, Now
from tunesmith.tui.preferences import Preferences
from tunesmith.tui.screens import jobs, machines
from tunesmith.tui.screens.machines import MachinesScreen
from tunesmith.tui.screens.models import ModelsScreen
from tunesmith.tui.screens.settings import SettingsScreen

Snap = Callable[..., bool]
HOSTILE = "[/foo] \x1b[31mred\x1b]0;owned\x07 abc\u202egpj.exe Z" + "\u0335" * 40 + " 字" * 30
SIZES = [(120, 36), (80, 24)]
LANGUAGES = ["en", "zh"]
MEASURED = Measured(
    torch="2.13", device="cuda", surface=Surface(),
    products={"float32": Rate(12.9e12), "bfloat16": Rate(51.2e12), "float16": Rate(51.0e12)},
    memory_copy=Rate(360e9), disk_write=Rate(1.1e9), works={}, seconds=20.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked for, no clock moves."""
    monkeypatch.setenv("TZ", "UTC")
    for module in (jobs, machines):
        module.time.tzset()
        monkeypatch.setattr(module.time, "time", lambda: START + 75)
    monkeypatch.setattr(places, "places", lambda home: beside.PLACES)
    monkeypatch.setattr(places, "measured", lambda home: iter(beside.COUNTED))


def wizard(client: FakeClient | None = None) -> TunesmithApp:
    app = TunesmithApp(Home(beside.HOME), machine=on_gpu(12, 11), live=False,
                       preferences=Preferences(Home(beside.HOME), {}, kept=False))  # fmt: skip
    app.planning.measured = MEASURED
    if client is not None:
        app.daemon = client.clients  # type: ignore[assignment, method-assign]
    return app


def opened(
    *keys: str, language: str = "en", then: Callable[[TunesmithApp], None] | None = None
) -> Callable[..., object]:
    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, TunesmithApp)
        await pilot.pause()
        if language != "en":
            await app.speak(language)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        screen = app.screen
        while isinstance(screen, ModelsScreen) and screen.rows is None and not screen.trouble:
            await pilot.pause(0.02)
        while isinstance(screen, MachinesScreen) and not screen.looked:
            await pilot.pause(0.02)
        while isinstance(screen, SettingsScreen) and not screen.counted:
            await pilot.pause(0.02)
        if then is not None:
            then(app)
        await pilot.pause(0.5)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause()

    return before


def hostile_cache() -> models_here.Here:
    one = beside.snapshot("modelscope", f"owner/{HOSTILE}", 12, HOSTILE, origin=f"/tmp/{HOSTILE}")
    return beside.here(one, beside.snapshot("local", "x" * 400, 3), runs={0: list(range(1, 40))})


@pytest.mark.parametrize("size", SIZES, ids=["wide", "small"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["empty", "several", "busy", "failed", "hostile"])
def test_models(
    snap_compare: Snap, monkeypatch: pytest.MonkeyPatch, state: str, language: str, size: tuple[int, int]
) -> None:
    here = {"empty": beside.EMPTY, "hostile": hostile_cache()}.get(state, beside.SEVERAL)
    monkeypatch.setattr(models_here, "look", lambda home: here)

    def then(app: TunesmithApp) -> None:
        assert isinstance(app.screen, ModelsScreen)
        if state == "busy":
            app.screen.doing.now = Now("pull", "Qwen/Qwen3-8B", "downloading", 5_400_000_000, 16_400_000_000)
        elif state in ("failed", "hostile"):
            text = HOSTILE if state == "hostile" else "modelscope has no model another/model"
            body = ErrorBody("unknown_model", text, "Check its name; `tunesmith models search another` finds some.")
            app.screen.doing.ended = Ended("pull", "another/model", body)

    run = opened("m", "down", language=language, then=then)
    assert snap_compare(wizard(), terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", SIZES, ids=["wide", "small"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["plain", "environment", "failed"])
def test_settings(snap_compare: Snap, state: str, language: str, size: tuple[int, int]) -> None:
    app = wizard()
    if state == "environment":
        app.preferences.environment |= {"TUNESMITH_OFFLINE": "1", "TUNESMITH_HUB": HOSTILE}
    elif state == "failed":
        app.preferences.error = SettingsError(
            f"{app.home.settings} was written by a newer Tunesmith (version 2, this one knows 1)",
            "Update Tunesmith, or begin anew with `tunesmith settings reset`, which keeps the old file.",
        )
    assert snap_compare(app, terminal_size=size, run_before=opened("comma", "down", language=language))


@pytest.mark.parametrize("size", SIZES, ids=["wide", "small"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["none", "busy", "failed", "planned"])
def test_machines(snap_compare: Snap, state: str, language: str, size: tuple[int, int]) -> None:
    app = wizard()

    async def status() -> DaemonStatus | None:
        if state == "failed":
            raise DaemonError(f"{HOSTILE} is not a folder of yours", "Remove it, or set TUNESMITH_HOME to another one.")
        return None if state == "none" else beside.STATUS

    app.daemon_status = status  # type: ignore[method-assign]
    if state == "planned":
        app.planning.simulated = "rtx-4090"
    assert snap_compare(app, terminal_size=size, run_before=opened("k", "down", language=language))


@pytest.mark.parametrize("size", SIZES, ids=["wide", "small"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["empty", "several", "filtered", "hostile"])
def test_jobs(snap_compare: Snap, state: str, language: str, size: tuple[int, int]) -> None:
    runs = {"identity": training(41), "whole": finished(), "broken": failed(), "held": waiting()}
    if state == "hostile":
        runs = {HOSTILE: training(41), "x" * 300: finished()}
    client = FakeClient(**({} if state == "empty" else runs))
    keys = ("j", "slash", *"wh", "enter") if state == "filtered" else ("j", "down")
    assert snap_compare(wizard(client), terminal_size=size, run_before=opened(*keys, language=language))


@pytest.mark.parametrize("screen", ["m", "k", "comma", "j"])
@pytest.mark.parametrize("state", ["small", "help"])
def test_small_and_help(snap_compare: Snap, monkeypatch: pytest.MonkeyPatch, screen: str, state: str) -> None:
    """40x12 loses room, not the keys; the help is made of the screen's own keys."""
    monkeypatch.setattr(models_here, "look", lambda home: beside.SEVERAL)
    app = wizard(FakeClient(identity=training(41), whole=finished()))

    async def status() -> DaemonStatus | None:
        return beside.STATUS

    app.daemon_status = status  # type: ignore[method-assign]
    size, keys = ((40, 12), (screen,)) if state == "small" else ((80, 24), (screen, "question_mark"))
    assert snap_compare(app, terminal_size=size, run_before=opened(*keys))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", SIZES, ids=["wide", "small"])
def test_a_step_says_that_it_is_planned_for_another_machine(
    snap_compare: Snap, language: str, size: tuple[int, int]
) -> None:
    app = wizard()

    def then(app: TunesmithApp) -> None:
        app.plan_for("rtx-4090")
        app.start_run(StartRun())

    assert snap_compare(app, terminal_size=size, run_before=opened("2", language=language, then=then))
