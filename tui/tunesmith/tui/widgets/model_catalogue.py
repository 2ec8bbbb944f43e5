"""The catalogue of open models with a fit badge for this machine: type to filter, enter or a click chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from tunesmith.recipes.units import bytes_text, count_text
from tunesmith.tui import local_models
from tunesmith.tui.forecast_text import FAINT, VERDICTS, badge_text
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.recipes.models.catalogue import Entry
    from tunesmith.recipes.planner.badge import Badge
    from tunesmith.recipes.planner.place import Place
    from tunesmith.tui.planning import Planning

NAME_CELLS = 30
FIGURES_FROM_CELLS = 44  # below, a name alone


class ModelCatalogue(Vertical):
    """Posts `Chosen` with what a recipe says of the model: its id, or the folder where it lies."""

    DEFAULT_CSS = """
    ModelCatalogue { height: auto; }
    ModelCatalogue #model-filter { height: 1; border: none; background: $panel; padding: 0 1; }
    ModelCatalogue OptionList { height: 8; border: none; padding: 0; background: $surface; text-wrap: nowrap;
                                text-overflow: ellipsis; }
    ModelCatalogue #catalogue-facts { height: auto; margin-top: 1; }
    ModelCatalogue Button { height: 1; min-width: 12; border: none; padding: 0 1; margin: 0; }
    ModelCatalogue OptionList:focus { border: none; background: $panel; }
    """
    BINDINGS = [Binding("down", "to_list", show=False)]

    class Chosen(Message):
        def __init__(self, source: str) -> None:
            super().__init__()
            self.source = source

    def __init__(self, planning: Planning) -> None:
        super().__init__(id="model-catalogue")
        self.planning = planning
        self.badges: Mapping[str, Badge] = {}
        self.folders: Mapping[str, Path] = {}
        self.typed = ""

    def compose(self) -> ComposeResult:
        yield Input(self.typed, placeholder=t("model.filter"), id="model-filter", compact=True, select_on_focus=False)
        yield OptionList(id="models")
        yield Static(id="catalogue-facts")
        yield Button(Content(t("model.use")), id="catalogue-take", classes="-other", compact=True)

    def on_mount(self) -> None:
        self._list()

    @work(exclusive=True, group="badges")
    async def judge(self) -> None:
        """Every badge at once, for what is free now, beside the screen."""
        again = bool(self.badges)
        self.badges, self.folders = await asyncio.to_thread(self._judged)
        self._list(stay=again)

    def _judged(self) -> tuple[Mapping[str, Badge], Mapping[str, Path]]:
        from tunesmith.recipes.models.catalogue import catalogue

        self.planning.look()
        found = {entry.key: local_models.find(entry, self.planning.home) for entry in catalogue()}
        return self.planning.badges(), {key: folder for key, folder in found.items() if folder is not None}

    @on(Input.Changed, "#model-filter")
    def filtered(self, event: Input.Changed) -> None:
        event.stop()
        self.typed = event.value
        self._list()

    def _list(self, *, stay: bool = False) -> None:
        """The models that match; `stay` on the one that was marked, else on the first."""
        from tunesmith.recipes.models.catalogue import catalogue

        models = self.query_one(OptionList)
        before = self.chosen if stay else None
        models.clear_options()
        found = sorted((entry for entry in catalogue() if matches(entry, self.typed)), key=self._order)
        wide = self.app.size.width >= FIGURES_FROM_CELLS + 16
        models.add_options(
            Option(line(entry, self.badges.get(entry.key), here=entry.key in self.folders, wide=wide), id=entry.key)
            for entry in found
        )
        keys = [entry.key for entry in found]
        models.highlighted = (keys.index(before.key) if before and before.key in keys else 0) if keys else None
        self._show()

    def _order(self, entry: Entry) -> tuple[bool, int]:
        """What lies here first, then what fits; families stay together."""
        badge = self.badges.get(entry.key)
        return entry.key not in self.folders, list(VERDICTS).index(badge.verdict) if badge is not None else 0

    @property
    def chosen(self) -> Entry | None:
        from tunesmith.recipes.models import catalogue

        models = self.query_one(OptionList)
        if models.highlighted is None or models.highlighted >= models.option_count:
            return None
        return catalogue.find(str(models.get_option_at_index(models.highlighted).id))

    @on(OptionList.OptionHighlighted)
    def highlighted(self) -> None:
        self._show()

    def _show(self) -> None:
        entry, button = self.chosen, self.query_one("#catalogue-take", Button)
        button.display = entry is not None
        if entry is None:
            self.query_one("#catalogue-facts", Static).update(Content.styled(t("model.none_found"), FAINT))
            return
        folder, place = self.folders.get(entry.key), self.planning.place()
        told = Content("\n").join([*about(entry), *self._badge(entry, place), *way_to(entry, folder)])
        facts = self.query_one("#catalogue-facts", Static)
        # Nothing else moves where they are as high as before: a new layout takes longer than all the rest of a key.
        height = told.get_height({}, facts.content_size.width) if facts.content_size.width else 0
        facts.update(told, layout=height != facts.content_size.height)
        label = Content(t("model.use") if folder else t("model.use_fetched", bytes=bytes_text(fetched(entry))))
        wider = label.cell_length != Content(str(button.label)).cell_length
        button.label = label
        button.refresh(layout=wider)  # the label's length is the button's

    def _badge(self, entry: Entry, place: Place | None) -> list[Content]:
        return badge_text(self.badges.get(entry.key), place, there=bool(self.planning.simulated))

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()

    @on(Input.Submitted, "#model-filter")
    @on(OptionList.OptionSelected)
    def selected(self, event: Input.Submitted | OptionList.OptionSelected) -> None:
        """What lies here is taken; for another model one is told how to get it."""
        event.stop()
        entry = self.chosen
        if entry is not None and entry.key in self.folders:
            self.take()
        elif entry is not None:
            self.query_one("#catalogue-take").focus()

    @on(Button.Pressed, "#catalogue-take")
    def take(self) -> None:
        if (entry := self.chosen) is not None:
            folder = self.folders.get(entry.key) or local_models.find(entry, self.planning.home)
            self.post_message(self.Chosen(local_models.source_of(entry, folder, self.planning.home)))


def matches(entry: Entry, typed: str) -> bool:
    """Whether every word that is typed stands somewhere in what is known of the model."""
    said = " ".join((entry.huggingface, entry.modelscope, entry.family, entry.license, entry.kind, *entry.modalities))
    return all(word in said.casefold() for word in typed.casefold().split())


def line(entry: Entry, badge: Badge | None, *, here: bool, wide: bool) -> Content:
    mark = ("  ", "") if badge is None else (f"{VERDICTS[badge.verdict][0]} ", VERDICTS[badge.verdict][1])
    name = Content(entry.huggingface.rpartition("/")[2])
    name = name.stylize("bold") if here else name
    if not wide:
        return Content.assemble(mark, name)
    name = name.truncate(NAME_CELLS, ellipsis=True, pad=True)
    figures = f"{count_text(entry.parameters):>7}{context_text(entry.context):>6}  "
    return Content.assemble(mark, name, figures, (entry.license, FAINT))


def context_text(tokens: int) -> str:
    return f"{tokens // 1024}k" if tokens >= 1024 else str(tokens)


def about(entry: Entry) -> list[Content]:
    """Family, what it takes in, licence and limits."""
    facts = [
        entry.family, t(f"model.kind_{entry.kind}"), t("model.parameters_of", count=count_text(entry.parameters)),
        t("model.context_of", tokens=context_text(entry.context)), entry.license,
    ]  # fmt: skip
    if entry.modalities != ("text",):
        facts.append(", ".join(t(f"model.modality_{kind}") for kind in entry.modalities))
    lines = [Content(" · ".join(facts))]
    if entry.gated:
        lines.append(Content.assemble(("▲ ", "$warning bold"), t("model.gated")))
    return lines


def fetched(entry: Entry) -> int:
    """Bytes to come, nearly: almost all models are published in 16 bits a weight."""
    return 2 * entry.parameters


def way_to(entry: Entry, folder: Path | None) -> list[Content]:
    """Where it lies, or that the run fetches it."""
    if folder is not None:
        return [Content.assemble(("● ", "$success"), t("model.here", folder=folder))]
    head = Content.assemble(("○ ", "$foreground 50%"), t("model.not_here", bytes=bytes_text(fetched(entry))))
    return [head, Content.assemble("  ", (f"tunesmith models pull {entry.huggingface}", "$secondary"))]
