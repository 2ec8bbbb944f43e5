"""kill -9 of real training, anywhere and inside a save: it goes on from a whole checkpoint and ends in the same bits.

TUNESMITH_TRAINING_KILLS is how often in all (30 in a soak), TUNESMITH_SEED another seed.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import killed_training as training
import pytest
import tiny_model
from killed_training import Engine

from tunesmith.daemon.api import events as e

KILLS = int(os.environ.get("TUNESMITH_TRAINING_KILLS", 2 * len(training.KINDS)))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 60 * KILLS // len(training.KINDS))]
SEED = int(os.environ.get("TUNESMITH_SEED", 6))
IN_A_ROW = 3  # kills of one job, before it may come to its end


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.make(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """For what is left alone and for what is killed: two processes that have nothing in common."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        home = tmp_path_factory.mktemp("engines")
        both = Engine(home, hash_seed=1), Engine(home, hash_seed=2)
    yield both
    for engine in both:
        engine.end()


@pytest.mark.parametrize("kind", training.KINDS)
def test_training_killed_at_random_moments_ends_in_the_weights_of_one_left_alone(
    kind: str, model: Path, engines: tuple[Engine, Engine], tmp_path: Path
) -> None:
    alone, killed = engines
    whole = training.job(tmp_path / "alone", model, kind, 1)
    assert alone.attempt(whole, 1) == 0
    told = training.lines(whole, 1)
    assert isinstance(told[-1], e.Finished), told[-1]
    curve = training.steps(told)
    kills = -(-KILLS // len(training.KINDS))
    print(f"{kind}: seed {SEED}, {kills} kills, {len(curve)} steps")
    dice, number = random.Random(f"{SEED} {kind}"), 0
    while kills > 0:
        number += 1
        job = training.job(tmp_path / f"killed-{number}", model, kind, number)
        (job / ".checkpoints.staged-1").mkdir()  # as a worker leaves it that is killed while it removes them
        deaths = min(IN_A_ROW, kills)
        kills -= killed_and_resumed(killed, job, dice, deaths, len(told), curve)
        assert training.result(job) == training.result(whole)
        assert not (job / "checkpoints").exists()
        assert [path for path in job.rglob(".*") if path.is_file() or ".staged-" in path.name] == []


def killed_and_resumed(
    engine: Engine, job: Path, dice: random.Random, deaths: int, lines: int, curve: training.Steps
) -> int:
    """Attempts at `job` until one finishes, `deaths` of them killed; returns how many were."""
    attempt = died = 0
    while True:
        attempt += 1
        before = training.saved(job)
        death = training.death(dice, lines, len(curve)) if died < deaths else training.Death()
        code = engine.attempt(job, attempt, death)
        events = training.lines(job, attempt)
        print(f"  attempt {attempt}: {death.point or death.lines or 'alone'}, code {code}, from {before[-1:]}")
        resumed = [event for event in events if isinstance(event, e.Resumed)]
        taken = training.steps(events)
        if taken:
            assert [(event.step, event.exact) for event in resumed] == [(step, True) for step in before[-1:]]
            assert min(taken) == max(before, default=0) + 1
        assert taken.items() <= curve.items()
        notices = [event.text for event in events if isinstance(event, e.Notice) and event.level == "warning"]
        assert notices == []
        if isinstance(events[-1], e.Finished):
            return died
        assert code == -signal.SIGKILL and not isinstance(events[-1], e.TERMINAL), events[-1]
        died += 1
