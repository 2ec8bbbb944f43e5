"""Following a job: it is folded whole, told at most ten times a second, and a lost daemon is said and survived."""

from __future__ import annotations

import asyncio
import time
from math import inf

import pytest
from histories import START, before_training, finished, train_steps, training
from live import FakeClient
from textual.message import Message

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import DaemonError
from tunesmith.tui import watch
from tunesmith.tui.idle_collection import ANSWERED_S
from tunesmith.tui.watch import Coalescer, JobUnknown, JobUpdated, LinkChanged, follow, nobody_types


async def test_a_finished_job_is_told_once_and_following_ends() -> None:
    told: list[Message] = []
    await asyncio.wait_for(follow(FakeClient(whole=finished()).clients, 1, told.append), 5)
    views = [message.view for message in told if isinstance(message, JobUpdated)]
    assert len(views) == len(told) == 1
    assert views[0].state == "finished" and views[0].correct("tuned") == (4, 4)


async def test_a_storm_of_events_is_told_ten_times_a_second_and_the_last_is_not_lost() -> None:
    client, told = FakeClient(run=before_training()), list[Message]()
    following = asyncio.create_task(follow(client.clients, 1, told.append))
    await asyncio.sleep(0.05)
    begun = time.monotonic()
    for step in list(train_steps(72)) * 4:
        await client.say(1, step)
        await asyncio.sleep(0.002)
    await client.say(1, e.Finished(time=START + 99, seconds=98))
    await asyncio.wait_for(following, 5)
    seconds = time.monotonic() - begun
    views = [message.view for message in told if isinstance(message, JobUpdated)]
    assert 3 <= len(views) <= seconds * 10 + 3
    assert views[-1].state == "finished"
    assert views[-1] == await client.job(1)


async def test_a_quiet_change_is_told_at_once() -> None:
    told: list[Message] = []
    Coalescer(told.append, nobody_types).offer(JobView(1, "run"))
    assert len(told) == 1


async def test_while_a_person_types_changes_are_told_less_often_and_the_last_one_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "POST_INTERVAL_S", 0.01)
    monkeypatch.setattr(watch, "TYPING_INTERVAL_S", 0.2)
    told: dict[float, list[Message]] = {inf: [], ANSWERED_S: []}
    for idle_s, heard in told.items():
        coalescer = Coalescer(heard.append, lambda idle_s=idle_s: idle_s)
        for number in range(10):
            coalescer.offer(JobView(number, "run"))
            await asyncio.sleep(0.015)
        await asyncio.sleep(0.25)
    assert len(told[ANSWERED_S]) < len(told[inf])
    assert [message.view.id for heard in told.values() for message in heard[-1:]] == [9, 9]  # type: ignore[attr-defined]


async def test_a_change_is_told_after_a_key_is_answered_and_all_the_same_where_keys_come_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "TYPING_INTERVAL_S", 0.3)
    now = asyncio.get_running_loop().time
    told: list[float] = []
    key = now()
    Coalescer(lambda _: told.append(now()), lambda: now() - key).offer(JobView(1, "run"))
    assert not told
    await asyncio.sleep(ANSWERED_S + 0.1)
    assert len(told) == 1 and told[0] - key >= ANSWERED_S

    held_down = Coalescer(lambda _: told.append(now()), lambda: 0.0)
    held_down.offer(JobView(1, "run"))
    await asyncio.sleep(0.2)
    assert len(told) == 1
    await asyncio.sleep(0.5)
    assert len(told) == 2


async def test_events_that_came_at_once_are_not_read_on_while_a_key_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "SLICE_S", 0.0)
    now = asyncio.get_running_loop().time
    key, folded, turns = -inf, list[float](), list[float]()
    fold = watch.fold
    monkeypatch.setattr(watch, "fold", lambda *given: (folded.append(now()), fold(*given))[1])

    async def other_work() -> None:
        while True:
            turns.append(now())
            await asyncio.sleep(0)

    client = FakeClient(run=before_training())
    following = asyncio.create_task(follow(client.clients, 1, lambda _: None, lambda: now() - key))
    working = asyncio.create_task(other_work())
    await asyncio.sleep(0.05)
    folded.clear()
    key = now()
    for event in [*train_steps(72), e.Finished(time=START + 99, seconds=98)]:
        await client.say(1, event)
    await asyncio.wait_for(following, 5)
    working.cancel()
    assert len(folded) > 70 and folded[0] - key >= ANSWERED_S
    assert len([at for at in turns if folded[0] < at < folded[-1]]) >= len(folded) - 1


async def test_a_daemon_that_is_away_is_said_once_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RETRY_S", 0.02)
    client, told = FakeClient(whole=finished()), list[Message]()
    client.down = True
    following = asyncio.create_task(follow(client.clients, 1, told.append))
    await asyncio.sleep(0.2)
    assert [type(message) for message in told] == [LinkChanged]
    client.down = False
    await asyncio.wait_for(following, 5)
    assert [m.error is None for m in told if isinstance(m, LinkChanged)] == [False, True]
    assert any(isinstance(m, JobUpdated) and m.view.state == "finished" for m in told)


async def test_a_daemon_lost_while_the_stream_is_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PING_INTERVAL_S", 0.02)
    client, told = FakeClient(run=training(3)), list[Message]()
    following = asyncio.create_task(follow(client.clients, 1, told.append))
    await asyncio.sleep(0.05)
    client.down = True
    await asyncio.sleep(0.1)
    lost = [m for m in told if isinstance(m, LinkChanged)]
    assert len(lost) == 1 and isinstance(lost[0].error, DaemonError)
    client.down = False
    await asyncio.sleep(0.1)
    assert [m for m in told if isinstance(m, LinkChanged)][-1].error is None
    following.cancel()


async def test_an_unknown_job_is_said_and_following_ends() -> None:
    told: list[Message] = []
    await asyncio.wait_for(follow(FakeClient(run=training(1)).clients, 9, told.append), 5)
    assert len(told) == 1 and isinstance(told[0], JobUnknown)
