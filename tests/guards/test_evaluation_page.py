"""docs/evaluation.md says what the cards say, and its recipe and its task file are some."""

from __future__ import annotations

import re
from pathlib import Path

from tunesmith.recipes import evals, gate, spec, suites

PAGE = (Path(__file__).parents[2] / "docs/evaluation.md").read_text("utf-8")


def as_written(card: evals.Eval) -> str:
    if card.key == evals.OWN_CODE:
        return f"scorer.py:{card.argument}"
    return f"{card.key}:{card.argument}" if card.key == "regex" else card.key


def test_the_table_of_scores_is_made_of_the_cards() -> None:
    rows = re.findall(r"^\| `([a-zA-Z_.:]+)` \| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(as_written(card), f"{card.top:g}", card.blurb) for card in evals.cards().values()]


def test_the_table_of_suites_is_made_of_their_files() -> None:
    rows = re.findall(r"^\| `([a-z0-9]+)` \| (\w\S*: .+) \| ([\w-]+) \| ([\w-]*) \|$", PAGE, re.MULTILINE)
    wanted = [(name, f"{one.title}: {one.blurb}", *one.tools) for name, one in suites.cards().items()]
    assert rows == wanted


def test_the_task_file_on_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "my_task.yaml").write_text(yaml_blocks()[2])
    chosen = suites.find(str(tmp_path / "my_task.yaml"), None)
    assert (chosen.key, chosen.way.endpoint, chosen.own_code) == ("my_task", "chat", False)


def yaml_blocks() -> list[str]:
    found = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 3
    return found


def test_the_recipe_on_it_is_a_recipe() -> None:
    evaluation = spec.parse(yaml_blocks()[0], Path("/recipes")).evaluation
    assert len(evaluation.scores) == 4 and evaluation.fail_if


def test_the_recipe_with_benchmarks_on_it_is_one() -> None:
    found = spec.parse(yaml_blocks()[1], Path("/recipes"))
    assert gate.waits(found) and spec.stages_of(found)[-1] == "benchmark"


def test_every_measure_of_a_gate_is_named() -> None:
    assert [name for name in gate.MEASURES if f"`{name}`" not in PAGE] == []
