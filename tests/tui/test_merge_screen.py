"""Runs merged from the list of jobs: marked, weighed, refused with a reason, by keyboard and by mouse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from histories import START, better, failed, finished, training
from live import Alone, FakeClient
from patience import until
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from tunesmith.daemon.api import events as e
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import AdapterSpec, JobSpec, ModelSpec, complete, to_yaml
from tunesmith.tui import app as app_module
from tunesmith.tui import merging, texts
from tunesmith.tui.messages import JobStarted
from tunesmith.tui.screens import jobs as jobs_module
from tunesmith.tui.screens.jobs import JobsScreen
from tunesmith.tui.screens.merge import MergeScreen, WeightInput
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.row_table import RowTable

Snap = Callable[..., bool]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    jobs_module.time.tzset()
    monkeypatch.setattr(jobs_module.time, "time", lambda: START + 75)


class Windowed(Alone):
    """With the wizard's own styles, which windows share."""

    CSS_PATH = str(Path(app_module.__file__).with_name("app.tcss"))


def without_adapter() -> list[e.Event]:
    return [one for one in finished() if not (isinstance(one, e.ArtifactWritten) and one.key == "adapter")]


def of_task(task: str, of: int | None = None) -> list[e.Event]:
    """A finished job that is no training."""
    return [e.Queued(time=START, task=task, of=of), *finished()[1:]]


@pytest.fixture
def client(tmp_path: Path) -> FakeClient:
    """Runs 1 and 2 have finished, 3 failed, 4 is at work, 5 is of another base."""
    fake = FakeClient(identity=finished(), again=better(), broken=failed(), running=training(9), other=finished())
    fake.folder = tmp_path
    for job_id, source in ((1, "starter"), (2, "starter"), (5, "Qwen/Qwen3-0.6B")):
        artifacts = tmp_path / "jobs" / str(job_id) / "artifacts"
        (artifacts / "adapter").mkdir(parents=True)
        spec = JobSpec(name=fake.names[job_id], model=ModelSpec(source=source))
        (artifacts / "recipe.yaml").write_text(to_yaml(complete(spec)))
        (artifacts / "training.json").write_text(json.dumps({"base": source, "steps": 72}))
    return fake


async def listed(pilot: Pilot[None], fake: FakeClient) -> JobsScreen:
    screen = JobsScreen(fake.clients)
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.jobs)
    return screen


async def window(pilot: Pilot[None]) -> MergeScreen:
    """Once keys go to its first weight."""
    await until(
        pilot, lambda: isinstance(pilot.app.screen, MergeScreen) and isinstance(pilot.app.screen.focused, WeightInput)
    )
    assert isinstance(pilot.app.screen, MergeScreen)
    return pilot.app.screen


async def opened(pilot: Pilot[None], fake: FakeClient, *runs: int) -> MergeScreen:
    jobs = await listed(pilot, fake)
    jobs.marked = runs
    await until(pilot, lambda: "◆" in pilot.app.export_screenshot())  # what lies behind a window is drawn no more
    await pilot.press("w")
    return await window(pilot)


def shown(screen: MergeScreen, name: str) -> str:
    return str(screen.query_one(name, Static).render())


@pytest.mark.parametrize(
    ("size", "language", "keys"),
    [((80, 24), "en", "0.7"), ((80, 24), "zh", "0.7,,"), ((40, 12), "en", "-0.5")],
    ids=["usual", "wrong", "tiny"],
)
def test_the_window_looks_right(
    snap_compare: Snap, client: FakeClient, size: tuple[int, int], language: str, keys: str
) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await opened(pilot, client, 2, 1)
        for field in screen.query(Input):
            field.cursor_blink = False
        await pilot.press("delete", *keys, *["down"] * (size[1] < 18))
        await pilot.pause(0.1)

    texts.use(language)
    assert snap_compare(Windowed(Static()), terminal_size=size, run_before=look)


async def test_runs_are_marked_weighed_and_merged_by_keyboard(client: FakeClient) -> None:
    app = Windowed(Static())
    async with app.run_test(size=(80, 24)) as pilot:
        jobs = await listed(pilot, client)
        await pilot.press("end", "space", "up", "space", "space", "space", "w")
        assert jobs.marked == (1, 2) and "2 marked" in str(jobs.query_one("#jobs-title", Static).render())
        screen = await window(pilot)
        assert shown(screen, "#merge-command") == "tunesmith merge 1=1 2=1 --to merged,gguf:f16,gguf:q8_0"
        await pilot.press("delete", "0", ".", "7", "enter", "delete", "minus", "0", ",", "3")
        for target in ("gguf-f16", "awq"):
            screen.query_one(f"#export-{target}").focus()
            await pilot.press("space")
        said = "tunesmith merge 1=0.7 2=-0.3 --to merged,gguf:q8_0,awq"
        await until(pilot, lambda: shown(screen, "#merge-command") == said)
        screen.query_one("#weight-2").focus()
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == said)
        assert screen.query_one("#weight-2", Input).value == "-0,3", "a key of the window is no part of a number"
        await pilot.press("ctrl+n")
        await until(pilot, lambda: [m.job_id for m in app.received if isinstance(m, JobStarted)] == [6])
    (request,) = client.submitted
    folders = [str(client.folder / "jobs" / str(run) / "artifacts") for run in (1, 2)]
    assert (request.spec.task, request.spec.of, request.spec.name) == ("merge", folders[0], "merge identity")
    assert request.spec.exports == ("merged", "gguf:q8_0", "awq")
    assert request.spec.adapters == (
        AdapterSpec(path=f"{folders[0]}/adapter", weight=0.7), AdapterSpec(path=f"{folders[1]}/adapter", weight=-0.3),
    )  # fmt: skip


async def click_key(pilot: Pilot[None], action: str) -> None:
    bar = pilot.app.screen.query_one(KeyBar)
    await until(pilot, lambda: any(key.action == action for key in bar.keys))
    before = next(number for number, key in enumerate(bar.keys) if key.action == action)
    await pilot.click(KeyBar, offset=(sum(key.cells for key in bar.keys[:before]) + 1, 0))


async def test_the_mouse_alone_does_it(client: FakeClient) -> None:
    app = Windowed(Static())
    async with app.run_test(size=(80, 30)) as pilot:
        jobs = await listed(pilot, client)
        for row in (4, 5):  # below the header, newest first
            await pilot.click(RowTable, offset=(3, row))
            await click_key(pilot, "mark")
        await until(pilot, lambda: jobs.marked == (2, 1))
        await click_key(pilot, "merge")
        screen = await window(pilot)
        await pilot.click("#export-gguf-f16")
        await pilot.click("#weight-1")
        await pilot.press("end", "backspace", "2")
        said = "tunesmith merge 2=1 1=2 --to merged,gguf:q8_0"
        await until(pilot, lambda: shown(screen, "#merge-command") == said)
        await pilot.click("#copy")
        await until(pilot, lambda: app.clipboard == said)
        await pilot.click("#merge")
        await until(pilot, lambda: client.submitted)
    assert [one.weight for one in client.submitted[0].spec.adapters] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("typed", "said"),
    [("", "Job 2 has no weight"), ("1-", "'1-', which is no number"), ("nan", "is nan; 100 is the most"),
     ("0", "is 0, which takes nothing"), ("100.5", "is 100.5; 100 is the most"), ("-inf", "is -inf")],
)  # fmt: skip
def test_what_is_no_weight_is_said_in_words(typed: str, said: str) -> None:
    with pytest.raises(TunesmithError, match=said):
        merging.weight(2, typed)


@pytest.mark.parametrize(("typed", "found"), [("1", 1.0), (" 0,5 ", 0.5), ("-100", -100.0), (".25", 0.25)])
def test_a_weight_is_a_number_with_a_point_or_a_comma(typed: str, found: float) -> None:
    assert merging.weight(2, typed) == found


async def test_what_is_wrong_is_named_and_nothing_can_be_started_until_it_is_not(client: FakeClient) -> None:
    app = Windowed(Static())
    async with app.run_test(size=(80, 30)) as pilot:
        screen = await opened(pilot, client, 1, 2)
        await pilot.press("delete", "0")
        await until(pilot, lambda: "weight of job 1 is 0" in shown(screen, "#merge-trouble"))
        assert "✗" in shown(screen, "#mark-1") and "✗" not in shown(screen, "#mark-2")
        await pilot.press("ctrl+n", "y")
        assert app.screen is screen and app.clipboard == "" and screen.query_one("#merge", Button).disabled
        await pilot.press(".", "5")
        await until(pilot, lambda: not screen.query_one("#merge", Button).disabled)
        for target in screen.found.ticked:
            await pilot.click(f"#export-{target.replace(':', '-')}")
        await until(pilot, lambda: "Nothing is chosen" in shown(screen, "#merge-trouble"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)
    assert client.submitted == []


async def test_what_is_typed_outlives_a_change_of_language(client: FakeClient) -> None:
    async with Windowed(Static()).run_test(size=(80, 30)) as pilot:
        screen = await opened(pilot, client, 1, 2)
        await pilot.press("delete", "0", ".", "7")
        await pilot.click("#export-gguf-f16")
        await pilot.pause(0.05)
        before = shown(screen, "#merge-command")
        texts.use("zh")
        await screen.recompose()
        await pilot.pause(0.05)
        assert shown(screen, "#merge-command") == before == "tunesmith merge 1=0.7 2=1 --to merged,gguf:q8_0"


async def test_a_refusal_of_the_daemon_stays_in_the_window_and_the_same_again_is_the_same_job(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Windowed(Static()).run_test(size=(80, 30)) as pilot:
        screen = await opened(pilot, client, 1, 2)
        lost, submit = [], client.submit

        async def loses(request: object) -> object:
            lost.append(request)
            client._check()
            raise TunesmithError("The answer was lost", "Ask again.")

        monkeypatch.setattr(client, "submit", loses)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "Ask again" in shown(screen, "#merge-trouble"))
        monkeypatch.setattr(client, "submit", submit)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: client.submitted)
        assert client.submitted == lost


async def refused(fake: FakeClient, *runs: int) -> str:
    with pytest.raises(TunesmithError) as caught:
        merging.look([await fake.job(run) for run in runs])
    assert caught.value.hint.endswith(".")
    return f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("history", "said"),
    [(failed(), "left no adapter: failed. Let it go on with r"), (training(9), "not ended yet: running. Wait"),
     (without_adapter(), "no adapter to merge"), (of_task("merge", 1), "itself a merge"),
     (of_task("export", 1), "mark job 1 instead"), (of_task("evaluate"), "trained nothing")],
    ids=["failed", "running", "no-adapter", "merge", "export", "of-nothing"],
)  # fmt: skip
async def test_a_run_without_an_adapter_is_refused_with_the_next_step(
    client: FakeClient, history: list[e.Event], said: str
) -> None:
    client.histories[3] = history
    assert said in await refused(client, 1, 3)


async def test_runs_of_two_bases_are_refused_where_they_say_so(client: FakeClient) -> None:
    said = await refused(client, 1, 5)
    assert "another base (Qwen/Qwen3-0.6B) than job 1 (starter). Merge runs of one base" in said
    (client.folder / "jobs/5/artifacts/training.json").unlink()  # then the worker finds out by names and shapes
    assert merging.look([await client.job(1), await client.job(5)]).base == "starter"


async def test_a_run_whose_verification_failed_is_merged_like_any_other(client: FakeClient) -> None:
    no = e.Failed(time=START + 150, code="verification", message="no", hint="", stage="verify")
    client.histories[2] = [*finished()[:-1], no]
    assert (await client.job(2)).state == "failed"
    assert len(merging.look([await client.job(1), await client.job(2)]).runs) == 2


async def test_targets_are_those_of_the_base_and_what_the_first_run_wrote(client: FakeClient) -> None:
    artifacts = client.folder / "jobs/1/artifacts"
    spec = complete(JobSpec(name="identity", exports=("adapter", "gguf:iq4_xs")))
    (artifacts / "recipe.yaml").write_text(to_yaml(spec))
    found = merging.look([await client.job(1), await client.job(2)])
    assert {"merged", "gguf:q4_k_m", "gguf:iq4_xs", "awq"} <= set(found.targets)
    assert not {"adapter", "gguf-adapter"} & set(found.targets)
    assert found.ticked == ("merged", "gguf:iq4_xs")


async def test_the_list_says_why_not(client: FakeClient) -> None:
    app = Windowed(Static())
    async with app.run_test(size=(80, 24)) as pilot:
        jobs = await listed(pilot, client)
        for marked, said in (((), "0 runs are marked"), ((1,), "1 runs are marked"), ((1, 3), "Job 3 left no adapter")):
            jobs.marked = marked
            await pilot.press("w")
            await until(pilot, lambda said=said: any(said in one.message for one in app._notifications))
        assert app.screen is jobs


async def test_a_mark_goes_with_its_job(client: FakeClient) -> None:
    async with Windowed(Static()).run_test(size=(80, 24)) as pilot:
        jobs = await listed(pilot, client)
        jobs.marked = (1, 2)
        del client.histories[2]
        jobs._refresh()
        await until(pilot, lambda: jobs.marked == (1,))


def test_a_command_has_whole_weights_and_quoted_targets() -> None:
    run = msgspec.convert({"id": 7, "name": "x"}, merging.JobView)
    parts = [merging.Part(run, 0.123456789), merging.Part(msgspec.structs.replace(run, id=9), -1.0)]
    assert merging.command(parts, ["merged"]) == "tunesmith merge 7=0.123456789 9=-1 --to merged"
