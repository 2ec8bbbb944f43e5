"""An adapter's gradients keep their place from step to step."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.daemon.worker.train import gradients


def layers(trained: int, dtype: str = "float32") -> Any:
    import torch

    model = torch.nn.Sequential(*(torch.nn.Linear(3, 5, dtype=getattr(torch, dtype)) for _ in range(3)))
    for parameter in list(model.parameters())[trained:]:
        parameter.requires_grad_(False)
    return model


def gradients_of(model: Any, rows: Any) -> list[Any]:
    model[0](rows).square().sum().backward()
    return [parameter.grad for parameter in model[0].parameters()]


@pytest.fixture
def rows() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.randn(4, 3)


def test_a_step_s_gradients_are_autograd_s_own_and_lie_where_they_lay_before(rows: Any) -> None:
    import torch

    model = layers(2)
    expected = [gradient.clone() for gradient in gradients_of(model, rows)]
    (callback,) = gradients.callbacks(model)
    places = []
    for _ in range(2):
        model.zero_grad()  # as the trainer does after every step
        callback.on_step_begin(None, None, None)
        found = gradients_of(model, rows)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
        places.append([gradient.data_ptr() for gradient in found])
    assert places[0] == places[1]
    assert all(place % (gradients.PLACE * 4) == places[0][0] % (gradients.PLACE * 4) for place in places[0])


def test_windows_of_one_step_add_up(rows: Any) -> None:
    import torch

    model = layers(2)
    (callback,) = gradients.callbacks(model)
    callback.on_step_begin(None, None, None)
    once = [gradient.clone() for gradient in gradients_of(model, rows)]
    twice = gradients_of(model, rows)
    assert all(torch.equal(one * 2, both) for one, both in zip(once, twice, strict=True))


def test_a_model_that_is_trained_whole_gets_its_gradients_as_they_come() -> None:
    assert gradients.callbacks(layers(6)) == []
