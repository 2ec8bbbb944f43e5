"""Row C1: whatever happens to a checkpoint's files, it is told and never loaded; an older one or the start is used."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import stopped
import tiny_model

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import checkpoint
from tunesmith.recipes import spec as recipe

pytestmark = [pytest.mark.slow]
SEED = int(os.environ.get("TUNESMITH_SEED", 6))
NAMES = (
    "MANIFEST.json", "adapter_model.safetensors", "checkpoint.json", "optimizer.pt", "rng_state.pth", "scheduler.pt",
    "trainer_state.json",
)  # fmt: skip
Harm = Callable[[Path], None]


def gone(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def one_bit_flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    place = random.Random(f"{SEED} {path.name}").randrange(len(data) * 8)
    print(f"seed {SEED}: bit {place} of {path.name}")
    data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)


def from_the_older_one(path: Path) -> None:
    """Whole in itself, and of another step."""
    shutil.copyfile(path.parents[1] / "step-2" / path.name, path)


def a_stranger(path: Path) -> None:
    path.with_name("pytorch_model.bin").write_bytes(b"\x80\x04.")


CASES = [(name, harm) for name in NAMES for harm in (gone, truncated, zeroed, one_bit_flipped)] + [
    ("optimizer.pt", from_the_older_one), ("MANIFEST.json", from_the_older_one), ("rng_state.pth", a_stranger),
]  # fmt: skip
named = pytest.mark.parametrize(("name", "harm"), CASES, ids=lambda part: getattr(part, "__name__", part))


class World:
    """Two checkpoints of a real training that was stopped, with a copy of them; and the weights it would have had."""

    def __init__(self, folder: Path) -> None:
        model = tiny_model.make(folder / "model")
        values = stopped.parts(model, folder, epochs=1)
        self.spec = recipe.parse(json.dumps(values), folder)
        self.model, self.folder = model, folder
        alone = self.context("alone", 1)
        stopped.attempt(alone)
        self.weights = stopped.weights(alone)
        stopped.attempt(self.context("stopped", 1), end_after=5)
        assert sorted(path.name for path in (self.job("stopped") / "checkpoints").iterdir()) == ["step-2", "step-4"]

    def job(self, name: str) -> Path:
        return self.folder / name / "jobs" / "1"

    def context(self, name: str, attempt: int) -> Context:
        job = self.job(name)
        job.mkdir(parents=True, exist_ok=True)
        (job / "spec.json").write_bytes(msgspec.json.encode(self.spec))
        context = Context(job, attempt)
        context.base = self.model
        return context

    def resumed(self, name: str) -> Context:
        """A second attempt at a copy of the job that was stopped, its data prepared."""
        shutil.copytree(self.folder / "stopped", self.folder / name)
        context = self.context(name, 2)
        prepare.run(context)
        return context


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        return World(tmp_path_factory.mktemp("corrupt"))


def told(context: Context) -> list[e.Event]:
    lines = (context.job / f"journal-{context.attempt}.jsonl").read_bytes().splitlines()
    return [e.decode(line) for line in lines]


def warnings(context: Context) -> list[str]:
    """Of checkpoints; the data are so few that they are warned of too."""
    texts = [event.text for event in told(context) if isinstance(event, e.Notice) and event.level == "warning"]
    return [text for text in texts if "checkpoint" in text]


def test_there_are_thirty_cases() -> None:
    assert len(CASES) >= 30


@named
def test_the_older_one_is_used_and_it_is_told(world: World, name: str, harm: Harm) -> None:
    context = world.resumed(f"{name}-{harm.__name__}")
    newest = context.checkpoints / "step-4"
    assert {path.name for path in newest.iterdir()} == set(NAMES)
    harm(newest / name)
    found = checkpoint.newest(context)
    assert found is not None and found.step == 2
    (text,) = warnings(context)
    assert text.startswith("The checkpoint step-4 is damaged and not used: ")
    assert not newest.exists() and publish.verify_folder(context.checkpoints / "step-2")
    shutil.rmtree(world.folder / f"{name}-{harm.__name__}")


@pytest.mark.parametrize("harm", [one_bit_flipped, gone], ids=lambda harm: harm.__name__)
def test_what_goes_on_ends_in_the_same_bits(world: World, harm: Harm) -> None:
    context = world.resumed(f"on-{harm.__name__}")
    harm(context.checkpoints / "step-4" / "optimizer.pt")
    if harm is gone:
        zeroed(context.checkpoints / "step-2" / "adapter_model.safetensors")
    stopped.attempt(context)
    resumed = [(event.step, event.exact) for event in told(context) if isinstance(event, e.Resumed)]
    assert resumed == ([] if harm is gone else [(2, True)])
    notices = [event.text for event in told(context) if isinstance(event, e.Notice)]
    begins = [text for text in notices if "begins at the first step" in text]
    assert len(begins) == (harm is gone) and len(warnings(context)) == 1 + (harm is gone)
    assert min(stopped.losses(told(context))) == (1 if harm is gone else 3)
    assert stopped.weights(context) == world.weights
