"""Cyclic garbage waits while keys come and is gone soon after; what was there before is never looked at again."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from planned import on_cpu

from tunesmith.daemon.api.home import Home
from tunesmith.tui import idle_collection
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.idle_collection import TOO_MANY, WORTH_IT, IdleCollection


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collection() -> Iterator[IdleCollection]:
    begun = IdleCollection()
    begun.begin()
    yield begun
    gc.unfreeze()
    gc.enable()


def garbage(count: int) -> list[weakref.ref[Cycle]]:
    return [weakref.ref(Cycle()) for _ in range(count)]


def alive(garbage: list[weakref.ref[Cycle]]) -> int:
    return sum(one() is not None for one in garbage)


def test_it_waits_for_a_person_who_types(collection: IdleCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    left = garbage(WORTH_IT)
    collection.touched()
    collection.look()
    assert alive(left) == len(left)
    monkeypatch.setattr(idle_collection, "IDLE_S", 0)
    collection.look()
    assert alive(left) == 0


def test_little_garbage_is_not_worth_a_collection(collection: IdleCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_collection, "IDLE_S", 0)
    left = garbage(10)
    collection.look()
    assert alive(left) == 10


def test_much_garbage_waits_for_the_answer_to_a_key_at_most(
    collection: IdleCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = garbage(TOO_MANY)
    collection.touched()
    collection.look()
    assert alive(left) == len(left)
    monkeypatch.setattr(idle_collection, "ANSWERED_S", 0)
    collection.look()
    assert alive(left) == 0


def test_very_much_garbage_waits_for_nothing(collection: IdleCollection) -> None:
    left = garbage(10 * TOO_MANY)
    collection.touched()
    collection.look()
    assert alive(left) == 0


async def test_the_wizard_in_a_terminal_collects_when_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collection: IdleCollection
) -> None:
    monkeypatch.setattr(idle_collection, "IDLE_S", 0)
    app = TunesmithApp(Home(tmp_path / "home"), machine=on_cpu(16, 10), live=False)
    async with app.run_test() as pilot:
        app.collect_when_idle()
        await pilot.pause()
        left = garbage(WORTH_IT)
        for _ in range(100):
            if not alive(left):
                break
            await pilot.pause(0.05)
        assert alive(left) == 0
        before = app.collection._touched if app.collection else 0
        await pilot.press("2")
        assert app.collection is not None and app.collection._touched > before
