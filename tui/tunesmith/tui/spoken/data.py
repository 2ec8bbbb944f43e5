"""Step 4 in plain lines: the starter's names, or one's own files, checked before one goes on."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui import data_check, mapping_choices
from tunesmith.tui.data_preview import NAME, TRAINED, ShownRow
from tunesmith.tui.draft import GIVEN, OWN, Draft
from tunesmith.tui.plain import one_line
from tunesmith.tui.planning import Planning
from tunesmith.tui.spoken.asking import Asker
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.data_report import lines
from tunesmith.tui.widgets.shape_question import detail, title

NO_DRAWING = 0  # cells for the histogram: its figures are said


def data(ask: Asker, draft: Draft, planning: Planning) -> None:
    """Asked again until there are rows to learn from."""
    options = [
        (GIVEN, f"{t('data.starter_title')}. {t('data.starter_detail')}"),
        (OWN, f"{t('data.own_title')}. {t('data.own_detail')}"),
    ]
    draft.data = ask.choose(t("data.title"), options, draft.data, f"{t('data.lead')} {t('spoken.data_why')}")
    while True:
        name_it(ask, draft)
        try:
            data_check.refuse_empty(draft)
            if checked(ask, draft, planning):
                return
        except TunesmithError as error:
            ask.fault(error)


def name_it(ask: Asker, draft: Draft) -> None:
    if draft.data == GIVEN:
        draft.persona_name = ask.text(t("spoken.persona_name"), draft.persona_name, t("data.starter_detail"))
        draft.persona_maker = ask.text(t("spoken.persona_maker"), draft.persona_maker, t("data.starter_detail"))
        return
    typed = ask.text(t("spoken.data_question"), draft.data_file, f"{t('data.own_detail')} {t('spoken.data_why')}")
    if typed != draft.data_file:
        draft.data_file, draft.data_shape, draft.data_map = typed, "", {}


def checked(ask: Asker, draft: Draft, planning: Planning) -> bool:
    """Whether one can go on with it; what stands in the way is said. Raises TunesmithError."""
    from tunesmith.recipes.data import shapes

    ask.say(t("data.reading"))
    found = asyncio.run(last(data_check.asked(draft, planning.home)))
    report = found.report
    if report.shape is None and report.rows_read and draft.data == OWN:
        return columns(ask, draft) and checked(ask, draft, planning)
    typed = shlex.quote(draft.data_file.strip())
    for mark, line in lines(report, NO_DRAWING, typed, starter=draft.model == GIVEN):
        ask.say(mark[0] + line.plain)
    if found.preview:
        preview(ask, found.preview[0])
    if not report.rows_read:
        ask.say(t("data.empty_file", path=draft.data_file.strip()), t("data.empty_file_hint"))
    elif not report.rows_kept:
        ask.say(t("data.nothing_kept", rows=report.rows_read), t("data.nothing_kept_hint"))
    elif report.shape is not None and draft.method not in shapes.cards()[report.shape].methods:
        shape = t(f"data.shape_{report.shape}")
        ask.say(t("data.cannot_train", shape=shape), t("data.cannot_train_hint"))
    else:
        planning.checked(report)
        return True
    return False


async def last(asked: data_check.Asked) -> data_check.Found:
    """The whole check."""
    async for found in data_check.follow(asked):
        newest = found
    return newest


def columns(ask: Asker, draft: Draft) -> bool:
    """Which column is what, where it cannot be told; False when there is nothing to choose."""
    rows = data_check.first_rows((str(Path(draft.data_file.strip()).expanduser()),))
    choices = mapping_choices.choices(rows) if rows else []
    if not choices:
        ask.say(t("data.finding_no_shape"), t("data.nothing_kept_hint"))
        return False
    ask.say(t("data.columns_found"))
    for name, value in rows[0].value.items():
        ask.say(f"{one_line(name)}: {one_line(value if isinstance(value, str) else repr(value))[:60]}")
    options = [(str(number), f"{title(choice)} ({detail(choice)})") for number, choice in enumerate(choices)]
    chosen = choices[int(ask.choose(t("data.which_column"), options, "0", t("data.which_column_hint")))]
    draft.data_shape, draft.data_map = chosen.shape, chosen.mapping
    return True


def preview(ask: Asker, row: ShownRow) -> None:
    """One row as the model sees it: what is learned from, and what is only read."""
    ask.say(t("spoken.preview", where=one_line(row.where.rpartition("/")[2])))
    for part in row.parts:
        for piece in part.pieces:
            if piece.kind != NAME and piece.text.strip():
                kind = t("spoken.learned") if piece.kind == TRAINED else t("spoken.read")
                ask.say(f"{kind} {one_line(piece.text)[:400]}")
