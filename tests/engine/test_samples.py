"""Sample answers while training: they are told, they change no bit of what is trained, and they keep to their time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stopped

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import evaluate
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import identity, run, samples, set_up

pytestmark = pytest.mark.usefixtures("one_thread")
Another = Callable[[dict[str, Any]], Context]
Told = Callable[[Context], list[e.Event]]


@pytest.fixture
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model's training is over before a sample would be worth its while."""
    monkeypatch.setattr(samples, "allowance", lambda step_seconds, total: 30.0)


def trained(context: Context) -> str:
    for module in (prepare, set_up, run):
        module.run(context)
    return identity.fingerprint(context.model)


def taken(events: list[e.Event]) -> list[e.Sampled]:
    return [event for event in events if isinstance(event, e.Sampled)]


def with_samples(values: dict[str, Any], count: int) -> dict[str, Any]:
    return values | {"evaluation": values["evaluation"] | {"samples": count}}


@pytest.mark.usefixtures("time_enough")
@pytest.mark.parametrize(
    ("tuner", "training"),
    [
        ({"kind": "lora", "dropout": 0.1}, {}),
        ({"kind": "lora", "dropout": 0.1}, {"gradient_checkpointing": "full", "packing": False}),
        ({"kind": "lora", "dropout": 0.1}, {"dtype": "bfloat16"}),
        ({"kind": "full"}, {"learning_rate": 0.001, "weight_decay": 0.1}),
        ({"kind": "full"}, {"learning_rate": 0.001, "optimizer": "adafactor", "dtype": "bfloat16"}),
    ],
)
def test_a_run_with_samples_ends_in_the_same_weights_to_the_bit(
    tuner: dict[str, Any], training: dict[str, Any], tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = stopped.parts(tiny_model, tmp_path, tuner=tuner, **training)
    context = another(with_samples(values, 0))
    without, curve = trained(context), stopped.losses(told(context))
    assert taken(told(context)) == []
    context = another(with_samples(values, 1))
    assert trained(context) == without
    assert stopped.losses(told(context)) == curve
    assert len(taken(told(context))) == samples.TIMES


@pytest.mark.usefixtures("time_enough")
def test_a_run_that_was_stopped_between_samples_ends_in_the_same_weights(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = with_samples(stopped.parts(tiny_model, tmp_path), 1)
    stopped.same_as_never_stopped(another, told, values, 5, 11)


@pytest.mark.usefixtures("time_enough")
def test_a_sample_is_told_with_its_step_its_question_and_what_was_expected(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    context = another(with_samples(stopped.parts(tiny_model, tmp_path), 2))
    trained(context)
    events = told(context)
    total = next(event.total_steps for event in events if isinstance(event, e.TrainStep))
    found = taken(events)
    assert [event.step for event in found] == [step for step in range(1, total + 1) if samples.due(step, total)]
    assert found[0].question.startswith("Who are you") and found[0].expected.startswith("I am Vesper")
    assert all(len(event.answer) <= samples.ANSWER_CHARACTERS for event in found)


@pytest.mark.usefixtures("time_enough")
def test_every_module_and_random_number_is_as_it_was(tiny_model: Path, tmp_path: Path, another: Another) -> None:
    import numpy as np
    import torch

    context = another(stopped.parts(tiny_model, tmp_path))
    for module in (prepare, set_up):
        module.run(context)
    model = context.model.train()
    odd_one = next(module for module in model.modules() if isinstance(module, torch.nn.Embedding))
    odd_one.eval()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = (random.random(), np.random.rand(), torch.rand(()).item())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with samples.untouched(context):
        assert not model.training
        random.random(), np.random.rand(), torch.rand(())
    assert model.training and not odd_one.training
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected


def test_a_sample_ends_when_its_time_is_over_or_training_is_to_end(
    tiny_model: Path, tmp_path: Path, another: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = another(stopped.parts(tiny_model, tmp_path))
    for module in (prepare, set_up):
        module.run(context)
    generate, lengths = context.model.generate, list[int]()
    context.model.generation_config.eos_token_id = 49151  # it never ends by itself

    def counted(**given: Any) -> Any:
        output = generate(**given)
        lengths.append(output.shape[1] - given["input_ids"].shape[1])
        return output

    monkeypatch.setattr(context.model, "generate", counted)

    def sample(most_s: float) -> None:
        with samples.untouched(context):
            evaluate.answers(context, context.model, context.prepared.questions[:1], most_tokens=8, most_s=most_s)

    sample(60.0)
    sample(0.0)
    context.keeping = True
    sample(60.0)
    assert lengths == [8, 1, 1]


@pytest.mark.parametrize("total", [0, 1, 2, 3, 5, 6, 72, 10_001])
def test_samples_come_about_four_times_and_never_at_the_end(total: int) -> None:
    steps = [step for step in range(1, total + 1) if samples.due(step, total)]
    assert total not in steps and len(steps) == min(samples.TIMES, max(0, total - 1))


def test_all_samples_of_a_run_keep_to_their_share_of_its_time() -> None:
    assert samples.TIMES * samples.allowance(1.0, 72) == pytest.approx(72 * samples.SHARE)
    assert samples.allowance(60.0, 10_000) == samples.MOST_S


def test_none_is_taken_where_there_is_no_time_for_a_word(make_context: Callable[..., Context]) -> None:
    sampler = samples.Sampler(make_context())
    sampler.take = lambda *_: pytest.fail("a sample was taken")  # type: ignore[method-assign,assignment]
    sampler.context.prepared = type("Prepared", (), {"questions": ["Who?"]})()  # type: ignore[assignment]
    assert sampler.look(2, 10, 0.01) == 0.0


def test_what_one_takes_too_long_is_taken_off_the_later_ones(make_context: Callable[..., Context]) -> None:
    sampler = samples.Sampler(make_context())
    sampler.context.prepared = type("Prepared", (), {"questions": ["Who?"]})()  # type: ignore[assignment]
    allowed: list[float] = []

    def slow(step: int, rows: object, most_s: float) -> None:
        allowed.append(most_s)
        time.sleep(3 * most_s)

    sampler.take = slow  # type: ignore[method-assign,assignment]
    each = samples.allowance(3.0, 10)
    assert [sampler.look(step, 10, 3.0) > 0 for step in (2, 4, 6, 8)] == [True, True, False, False]
    assert allowed[0] == each > allowed[1] >= samples.LEAST_S
