"""The stacked memory bar: every byte has its place, what does not fit stands behind an edge, no colour is needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.tui import texts
from tunesmith.tui.widgets import memory_bar
from tunesmith.tui.widgets.memory_bar import FILLS, Memory

PARTS = tuple(key for key in FILLS if key not in ("others", "free"))
memories = st.builds(
    Memory,
    st.lists(st.tuples(st.sampled_from(PARTS), st.integers(0, 10**12)), max_size=8).map(tuple),
    st.integers(1, 10**12),
    st.integers(0, 10**12),
)


@given(memory=memories, width=st.integers(1, 200))
def test_the_cells_are_the_width_whatever_the_sizes(memory: Memory, width: int) -> None:
    cells = memory_bar.cells_of(memory, width)
    assert sum(count for _, count in cells) == width and all(count >= 0 for _, count in cells)
    assert memory_bar.bar(memory, width).cell_length == width


def test_shares_of_the_bar_are_shares_of_the_memory() -> None:
    memory = Memory((("weights", 40), ("activations", 20)), 100, others=10)
    assert memory_bar.cells_of(memory, 10) == [("others", 1), ("weights", 4), ("activations", 2), ("free", 3)]
    assert memory_bar.bar(memory, 10).plain == "╱████░░···"


def test_what_does_not_fit_stands_behind_an_edge() -> None:
    memory = Memory((("weights", 150),), 100, others=50)
    assert memory.over
    assert memory_bar.bar(memory, 20).plain == "╱" * 5 + "█" * 5 + "┃" + "█" * 9


def test_every_part_is_told_apart_without_colour() -> None:
    assert len({fill for fill, _ in FILLS.values()}) == len(FILLS)


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
def test_the_legend_names_every_part_with_its_bytes(language: str) -> None:
    texts.use(language)
    memory = Memory((("weights", 538_000_000), ("adapter", 9_800_000), ("logits", 0)), 10**10, others=2_100_000_000)
    lines = [line.plain for line in memory_bar.legend_lines(memory, 60)]
    text = "\n".join(lines)
    assert "538.0 MB" in text and "9.8 MB" in text and "2.1 GB" in text
    assert texts.t("memory.others") in text and texts.t("memory.logits") not in text
    assert all(line.cell_length <= 60 for line in memory_bar.legend_lines(memory, 60))


def test_a_short_legend_names_the_largest_parts() -> None:
    memory = Memory((("adapter", 1_000_000), ("weights", 10**9), ("runtime", 5 * 10**8)), 10**10)
    (line,) = memory_bar.legend_lines(memory, 40, 1)
    assert "Weights" in line.plain and "Runtime" in line.plain and "Adapter" not in line.plain
    assert memory_bar.legend_lines(memory, 40, 0) == []
