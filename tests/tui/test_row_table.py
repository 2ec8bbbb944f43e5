"""The table that draws only the rows in sight: its cursor stays on its row, every row can be reached."""

from __future__ import annotations

import pytest
from live import Alone
from textual.content import Content
from textual.pilot import Pilot

from tunesmith.tui.widgets.row_table import Column, RowTable


class Kept(RowTable[int]):
    def __init__(self) -> None:
        self.drawn: list[int] = []
        columns = [
            Column[int]("name", "Name", 0, self.draw),
            Column[int]("number", "N", 8, lambda row: Content(str(row)), right=True, from_cells=30),
        ]
        super().__init__(columns, lambda row: row)

    def draw(self, row: int) -> Content:
        self.drawn.append(row)
        return Content(f"row {row} [bold]")


def lines(table: RowTable[int]) -> list[str]:
    return [table.render_line(y).text for y in range(table.size.height)]


@pytest.fixture
def table() -> Kept:
    return Kept()


async def shown(pilot: Pilot[None], table: Kept, count: int) -> None:
    table.show(range(count))
    await pilot.pause()


async def test_of_ten_thousand_rows_those_in_sight_are_drawn(table: Kept) -> None:
    async with Alone(table).run_test(size=(60, 20)) as pilot:
        await shown(pilot, table, 10_000)
        table.drawn.clear()
        await pilot.press("end")
        await pilot.pause()
        assert table.chosen == 9_999 and table.scroll_offset.y + table.room == 10_000
        assert set(table.drawn) <= {*range(table.room + 1), *range(9_999 - table.room, 10_000)}
        await pilot.press("pageup", "up")
        assert table.chosen == 9_999 - table.room - 1
        await pilot.press("home")
        assert table.chosen == 0 and table.scroll_offset.y == 0


async def test_the_cursor_stays_on_its_row_and_in_its_place(table: Kept) -> None:
    async with Alone(table).run_test(size=(60, 20)) as pilot:
        await shown(pilot, table, 100)
        await pilot.press(*["down"] * 50)
        place = table.cursor - table.scroll_offset.y
        table.show([-2, -1, *range(100)])
        await pilot.pause()
        assert table.chosen == 50 and table.cursor - table.scroll_offset.y == place
        table.show([1, 2])
        await pilot.pause()
        assert table.chosen == 2
        table.show([])
        await pilot.pause()
        assert table.chosen is None


async def test_text_is_text_and_a_narrow_table_leaves_columns_out(table: Kept) -> None:
    async with Alone(table).run_test(size=(60, 20)) as pilot:
        await shown(pilot, table, 3)
        header, first, *_ = lines(table)
        assert header.split() == ["Name", "N"] and first.startswith("▸ row 0 [bold]") and first.rstrip().endswith("0")
        await pilot.resize_terminal(25, 12)
        assert lines(table)[0].split() == ["Name"]


async def test_wide_letters_keep_the_columns_straight(table: Kept) -> None:
    table.columns = [
        Column[int]("name", "Name", 6, lambda row: Content("中文名称很长" if row else "short")),
        Column[int]("rest", "Rest", 0, lambda row: Content("|")),
    ]
    async with Alone(table).run_test(size=(40, 12)) as pilot:
        await shown(pilot, table, 2)
        strips = [table.render_line(y) for y in (1, 2)]
        assert {strip.cell_length for strip in strips} == {table.scrollable_content_region.width}
        before = [Content(strip.text.partition("|")[0]).cell_length for strip in strips]
        assert before[0] == before[1]


async def test_a_click_moves_the_cursor_and_a_second_one_selects(table: Kept) -> None:
    class Listening(Alone):
        selected = 0

        def on_row_table_selected(self) -> None:
            self.selected += 1

    app = Listening(table)
    async with app.run_test(size=(60, 20)) as pilot:
        await shown(pilot, table, 5)
        await pilot.click(table, offset=(5, 3))
        assert (table.chosen, app.selected) == (2, 0)
        await pilot.click(table, offset=(5, 3))
        await pilot.pause()
        assert (table.chosen, app.selected) == (2, 1)
