"""The probe measures real steps and leaves no trace in what is trained; what surely does not fit is refused before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import stopped

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import learning
from tunesmith.daemon.worker import planned, resident
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import identity, probe, run, set_up
from tunesmith.recipes import planner
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.planner.computed import filled_rows

pytestmark = pytest.mark.usefixtures("one_thread")
Another = Callable[[dict[str, Any]], Context]
Told = Callable[[Context], list[e.Event]]
WITH_PROBE = (prepare, planned, set_up, probe, run)


def trained(context: Context, modules: tuple[Any, ...]) -> str:
    for module in modules:
        module.run(context)
    return identity.fingerprint(context.model)


def forecasts(events: list[e.Event]) -> list[planner.Forecast]:
    return [event.forecast for event in events if isinstance(event, e.Forecasted)]


@pytest.mark.parametrize(
    ("tuner", "training"),
    [
        ({"kind": "lora", "dropout": 0.1}, {}),
        ({"kind": "full"}, {"learning_rate": 0.001, "weight_decay": 0.1}),
        ({"kind": "full"}, {"learning_rate": 0.001, "optimizer": "adamw_8bit"}),
        ({"kind": "full"}, {"learning_rate": 0.001, "optimizer": "adafactor"}),
    ],
)
def test_a_run_that_was_probed_ends_in_the_same_weights_to_the_bit(
    tuner: dict[str, Any], training: dict[str, Any], tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = stopped.parts(tiny_model, tmp_path, tuner=tuner, **training)
    without = trained(another(values), (prepare, set_up, run))
    context = another(values)
    assert trained(context, WITH_PROBE) == without
    assert [forecast.level for forecast in forecasts(told(context))] == ["counted", "probed"]


def test_the_probed_forecast_is_what_the_steps_took_and_a_little_more(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    context = another(stopped.parts(tiny_model, tmp_path))
    for module in WITH_PROBE[:-1]:
        module.run(context)
    counted, probed = forecasts(told(context))
    assert probed.steps == context.prepared.feed.steps(context.spec.training.epochs)
    assert probed.stage("train").host_bytes == pytest.approx(resident.peak(), rel=0.2)
    assert probed.stage("train").seconds == pytest.approx(probed.step_seconds * probed.steps)
    assert probed.memory_spread < counted.memory_spread and probed.time_spread < counted.time_spread
    assert probed.stage("export") == counted.stage("export"), "the probe says nothing of it"
    assert context.model is not None and all(weight.grad is None for weight in context.model.parameters())


def test_a_run_of_a_few_steps_is_not_probed(tiny_model: Path, tmp_path: Path, another: Another, told: Told) -> None:
    context = another(stopped.parts(tiny_model, tmp_path, epochs=1, batch_size=64))
    for module in WITH_PROBE[:-1]:
        module.run(context)
    assert [forecast.level for forecast in forecasts(told(context))] == ["counted"]


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A machine with so many bytes free."""
    here = planned.here

    def have(free: int) -> None:
        monkeypatch.setattr(
            planned,
            "here",
            lambda context: msgspec.structs.replace(here(context), free_bytes=free, host_free_bytes=free),
        )

    return have


def test_what_surely_does_not_fit_is_refused_before_the_model_is_loaded_and_force_runs_it(
    small_machine: Callable[[int], None], tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    context = another(stopped.parts(tiny_model, tmp_path))
    prepare.run(context)
    small_machine(100 << 20)
    with pytest.raises(MachineError, match=r"104\.9 MB are free") as refused:
        planned.run(context)
    assert refused.value.code == "does_not_fit" and "--force" in refused.value.hint
    (context.job / planned.FORCE).touch()
    planned.run(context)
    assert context.plan is not None and forecasts(told(context))


def test_automatic_values_are_made_smaller_where_that_makes_it_fit_and_it_is_told(
    small_machine: Callable[[int], None],
    tiny_model: Path,
    tmp_path: Path,
    another: Another,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = another(stopped.parts(tiny_model, tmp_path, window=None))
    prepare.run(context)
    whole = planner.forecast
    monkeypatch.setattr(
        planner,
        "forecast",
        lambda spec, *rest: whole(spec, *rest) if spec.training.window else _larger(whole(spec, *rest)),
    )
    small_machine(4 << 30)
    planned.run(context)
    (shrunk,) = (event for event in told(context) if isinstance(event, e.Shrunk))
    assert {change.key for change in shrunk.changes} == {"training.window", "training.gradient_checkpointing"}
    assert context.spec.training.window and context.spec.training.checkpointing == "full"


def _larger(forecast: planner.Forecast) -> planner.Forecast:
    stages = tuple(msgspec.structs.replace(stage, host_bytes=8 << 30) for stage in forecast.stages)
    return msgspec.structs.replace(forecast, stages=stages)


def test_what_a_run_took_corrects_the_next_forecast_of_its_kind(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = stopped.parts(tiny_model, tmp_path)
    context = another(values)
    trained(context, WITH_PROBE)
    kept = json.loads(context.home.learned.read_bytes())["corrections"]
    ((key, correction),) = kept.items()
    assert key.startswith("cpu/llama/sft/lora/none/float32/") and correction["runs"] == 1
    assert correction == msgspec.to_builtins(learning.learned(context.home).of(key))
    first = context.plan
    again = another(values)
    for module in WITH_PROBE[:2]:
        module.run(again)
    assert first is not None and again.plan is not None
    assert again.plan.forecast.corrected_by == 1
    assert again.plan.forecast.uncorrected_bytes == pytest.approx(first.forecast.uncorrected_bytes, rel=0.02)


@pytest.mark.parametrize(
    ("seconds", "work", "tokens", "mean", "expected"),
    [
        ((2.0, 1.0), (200.0, 100.0), (400, 200), 300.0, 1.5),  # a step without overhead: time goes with the tokens
        ((1.5, 1.0), (200.0, 100.0), (400, 200), 300.0, 1.25),  # half of the smaller one is there for any step
        ((1.1, 1.0), (110.0, 100.0), (220, 200), 100.0, 0.5),  # too alike to tell: all of it goes with the tokens
        ((0.8, 1.0), (200.0, 100.0), (400, 200), 200.0, 1.0),  # a hiccup in the smaller one
    ],
)
def test_a_mean_step_lies_between_the_worst_and_the_usual(
    seconds: tuple[float, float], work: tuple[float, float], tokens: tuple[int, int], mean: float, expected: float
) -> None:
    found = probe.seconds_of_mean_step(seconds, work, tokens, mean)
    assert found == pytest.approx(expected * (1 + probe.AROUND))


def test_the_worst_batch_has_the_largest_window_and_the_usual_one_the_mean_of_tokens(
    tiny_model: Path, tmp_path: Path, another: Another
) -> None:
    context = another(stopped.parts(tiny_model, tmp_path))
    for module in (prepare, set_up):
        module.run(context)
    feed, core = context.prepared.feed, context.core
    chosen = probe.choose(feed, core, 0.0)

    def windows(batch: probe.Batch) -> int:
        return max(window.positions for window in core.step([feed.sequence(*row) for row in batch]))

    def tokens(batch: probe.Batch) -> int:
        return sum(len(feed.sequence(*row)[0]) for row in batch)

    batches = list(feed.batches(0))
    assert windows(chosen.worst) == max(map(windows, batches))
    assert chosen.tokens.tolist() == [tokens(batch) for batch in batches]
    apart = [abs(tokens(batch) - chosen.tokens.mean()) for batch in batches]
    assert abs(tokens(chosen.usual) - chosen.tokens.mean()) == min(apart)

    def numbers(*chosen: probe.Batch) -> set[int]:
        steps = [core.step([feed.sequence(*row) for row in batch]) for batch in chosen]
        return {filled_rows(window.positions) for step in steps for window in step}

    assert chosen.unmet == len(numbers(*batches) - numbers(chosen.worst, chosen.usual))


def test_gradients_that_lie_beside_a_step_s_second_window_count_too() -> None:
    sizes = ([1000], [900, 880], [950, 100])
    assert max(sizes, key=lambda each: probe.most(each, 0.0)) == [1000]
    assert max(sizes, key=lambda each: probe.most(each, 400.0)) == [900, 880]
    assert probe.most([900, 880], 400.0) == 1280
    assert probe.most([950, 100], 400.0) == 950
