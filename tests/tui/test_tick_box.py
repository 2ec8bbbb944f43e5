"""Whether a box is ticked can be seen without colours."""

from __future__ import annotations

from textual.app import App, ComposeResult

from tunesmith.tui.widgets.tick_box import TickBox


class Alone(App[None]):
    def compose(self) -> ComposeResult:
        yield TickBox("chrf", False, compact=True)


async def test_a_box_has_its_mark_only_while_it_is_ticked() -> None:
    async with Alone().run_test(size=(20, 3)) as pilot:
        box = pilot.app.query_one(TickBox)
        assert "X" not in box.render_line(0).text
        await pilot.press("space")
        assert box.value and "X" in box.render_line(0).text
        await pilot.click(TickBox)
        assert not box.value and "X" not in box.render_line(0).text
