"""Public benchmarks in the result step: figures with intervals, what measured them, and whose code was run."""

from __future__ import annotations

import msgspec
import pytest
from fake_daemon import benchmarked

from tunesmith.daemon.api.events import Benchmarked
from tunesmith.daemon.api.view import JobView
from tunesmith.tui import texts
from tunesmith.tui.widgets.benchmark_lines import benchmark_lines


def said(*taken: Benchmarked, width: int = 90) -> str:
    lines = benchmark_lines(JobView(1, "run", benchmarks=taken), width)
    assert all(line.cell_length <= width for line in lines)
    return "\n".join(line.plain for line in lines)


def test_both_models_are_shown_with_the_change_and_who_ran_it() -> None:
    text = said(benchmarked(1e9, "base", 0.4), benchmarked(1e9, "tuned", 0.5))
    for part in ("mine.yaml", "0.400 [0.200 … 0.600]", "0.500 [0.300 … 0.700]", "+0.100 [", "acc · 20 questions",
                 "lm-eval 0.4.13", "Python code of the task file /mine.yaml"):  # fmt: skip
        assert part in text


def test_one_model_alone_has_no_change_and_what_was_refused_is_said() -> None:
    text = said(msgspec.structs.replace(benchmarked(1e9, "tuned", 0.5), refused=3))
    assert "change" not in text.lower() and "3 of them were refused" in text


@pytest.mark.parametrize("width", [24, 40])
def test_narrow_and_in_chinese_they_are_cut_not_broken(width: int) -> None:
    texts.use("zh")
    assert "公开基准" in said(benchmarked(1e9, "tuned", 0.5), width=width)


def test_nothing_where_none_was_run() -> None:
    assert said() == ""
