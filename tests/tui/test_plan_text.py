"""Every reason that a plan can have has words in both languages, and its values fill their places."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tunesmith.recipes.planner
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import ASSUMED
from tunesmith.recipes.planner.recommend import recommend
from tunesmith.recipes.planner.simulated import simulated
from tunesmith.recipes.spec import JobSpec
from tunesmith.tui import plan_text, texts

PLANNER = Path(tunesmith.recipes.planner.__path__[0])


def codes() -> set[str]:
    """Every text in a call of Reason, and what of_rank chooses from."""
    found = set()
    for path in PLANNER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason":
                found |= {part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)}
    return {code for code in found if isinstance(code, str) and re.fullmatch(r"[a-z_0-9]+", code)} - {
        "adamw", "bfloat16", "float32", "rank",
    }  # fmt: skip


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
def test_every_reason_has_words(language: str) -> None:
    assert len(codes()) >= 40
    assert {code for code in codes() if f"plan.reason_{code}" not in texts.load(language)} == set()


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
@pytest.mark.parametrize("machine", ["t4", "rtx-3060", "rtx-4090", "h200", "m3-max-64g", "m1-8g"])
@pytest.mark.parametrize("model", ["qwen2.5-7b-instruct", "qwen2.5-0.5b-instruct"])
def test_what_plans_say_fills_its_places(language: str, machine: str, model: str) -> None:
    texts.use(language)
    try:
        found = recommend(JobSpec(), (), catalogue.find(model).facts, ASSUMED, simulated(machine))
        said = [plan_text.reason(choice.reason) for plan in found.plans for choice in plan.choices]
        said += [plan_text.reason(found.refusal)] if found.refusal else []
        assert all(text and "{" not in text for text in said)
    finally:
        texts.use("en")
