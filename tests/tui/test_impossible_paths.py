"""Where a path belongs anything may be pasted: the step says what is wrong with it, and the wizard stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.models import source
from tunesmith.recipes.spec import BenchmarkSpec, DataSpec, EvaluationSpec, JobSpec, absolute
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.draft import OWN, Draft
from tunesmith.tui.widgets.step_parts import Trouble

IMPOSSIBLE = {"nul": "a\x00b", "page": "One line.\nAnother line. " * 200, "half": "\ud800", "wide": "字" * 100}


@pytest.mark.parametrize("typed", list(IMPOSSIBLE.values()), ids=list(IMPOSSIBLE))
def test_such_a_model_is_refused_with_the_begin_of_what_was_typed(typed: str) -> None:
    with pytest.raises(RecipeError) as refused:
        source.located(typed, Path.cwd())
    assert refused.value.code == "model_source"
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("typed", [*IMPOSSIBLE.values(), "~no-such-person/a"], ids=[*IMPOSSIBLE, "homeless"])
def test_no_file_of_a_recipe_is_called_so(typed: str, tmp_path: Path) -> None:
    for spec in (
        JobSpec(data=DataSpec(train=typed)),
        JobSpec(benchmark=BenchmarkSpec(suites=(f"{typed}.jsonl",))),
        JobSpec(evaluation=EvaluationSpec(scores=(f"{typed}.py:polite",))),
        JobSpec(evaluation=EvaluationSpec(scores=(f"json:{typed}",))),
    ):
        with pytest.raises(RecipeError, match="No file can be called") as refused:
            absolute(spec, tmp_path)
        assert len(refused.value.message) < 400


@pytest.mark.parametrize(("key", "trouble"), [("f3", "#model-trouble"), ("f4", "#data-trouble")], ids=["model", "data"])
@pytest.mark.parametrize("typed", list(IMPOSSIBLE.values()), ids=list(IMPOSSIBLE))
async def test_the_step_says_so_and_the_wizard_stays(tmp_path: Path, typed: str, key: str, trouble: str) -> None:
    draft = Draft.starter()
    draft.model, draft.model_folder, draft.data, draft.data_file = OWN, typed, OWN, typed
    app = TunesmithApp(Home(tmp_path), draft, live=False)
    async with app.run_test() as pilot:
        await pilot.press(key)
        for _ in range(1000):
            await pilot.pause(0.01)
            if app.screen.query_one(trouble, Trouble).display:
                break
        assert app.screen.query_one(trouble, Trouble).display
