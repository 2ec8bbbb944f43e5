"""The check of the data step: run in a thread beside the wizard, its growing reports and previews handed over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Generator
from itertools import islice
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import DataError, RecipeError
from tunesmith.recipes.spec import STARTER, Persona
from tunesmith.tui.data_preview import ShownRow, shown
from tunesmith.tui.draft import GIVEN, Draft
from tunesmith.tui.explained import SAID
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.recipes.data.checking.report import Report
    from tunesmith.recipes.data.rows import RawRow

ROWS_LOOKED_AT = 200  # to ask about columns: as many as a shape is recognised by


class Asked(msgspec.Struct, frozen=True):
    """What is checked: equal ones give equal reports. `persona` is set for the starter's rows.

    `changed` is when a single file was, in seconds since 1970.
    """

    files: tuple[str, ...]
    model: str | None
    shape: str | None
    mapping: dict[str, str]
    trained: str
    max_length: int | None
    over_long: str
    persona: Persona | None = None
    changed: float = 0.0


class Found(msgspec.Struct, frozen=True):
    report: Report
    preview: tuple[ShownRow, ...]


def asked(draft: Draft, home: Home) -> Asked:
    """What the draft says to check; values that are wrong are told in the recipe step and have their default here."""
    chosen: dict[str, Any] = {}
    for value in draft.values():
        try:
            chosen[value.key] = value.read(draft.text(value))
        except RecipeError:
            chosen[value.key] = value.default
    given = draft.data == GIVEN
    typed = str(Path(draft.data_file.strip()).expanduser())
    changed = 0.0
    if not given:
        with contextlib.suppress(OSError, ValueError):  # missing, a pattern, a NUL byte: the check says what is wrong
            changed = Path(typed).stat().st_mtime
    return Asked(
        files=() if given else (typed,),
        model=model_folder(draft, home),
        shape=None if given else draft.data_shape or None,
        mapping={} if given else draft.data_map,
        trained=chosen["data.trained"],
        max_length=chosen["training.max_length"],
        over_long=chosen["data.over_long"],
        persona=Persona(name=draft.persona_name.strip(), maker=draft.persona_maker.strip()) if given else None,
        changed=changed,
    )


def model_folder(draft: Draft, home: Home) -> str | None:
    """Where the tokenizer of the draft's model lies; None when it is not on this machine (yet)."""
    typed = draft.model_folder.strip()
    if draft.model != GIVEN and not typed:
        return None
    folder = home.models / STARTER if draft.model == GIVEN else _own_folder(typed, home)
    return str(folder) if folder is not None and (folder / "tokenizer.json").is_file() else None


def _own_folder(typed: str, home: Home) -> Path | None:
    """A folder as it is typed, or where the model of a hub lies; None where the model step says what is wrong."""
    from tunesmith.daemon.api import model_facts
    from tunesmith.recipes.models import source

    try:
        asked = source.parse(source.located(typed, Path.cwd()))
        if isinstance(asked, source.Named | source.Repository):
            typed = str(model_facts.lies_here(home, asked, source.preferred(os.environ)) or typed)
    except RecipeError:
        return None
    return Path(typed).expanduser()


async def follow(question: Asked) -> AsyncIterator[Found]:
    """Growing reports, the last one finished. Raises TunesmithError; leaving the loop early ends the check."""
    from tunesmith.recipes.data import limited

    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Found | None] = asyncio.Queue()
    stop = threading.Event()

    def give(found: Found) -> None:
        loop.call_soon_threadsafe(arrived.put_nowait, found)

    work = asyncio.ensure_future(asyncio.to_thread(run, question, give, stop))
    work.add_done_callback(lambda _: arrived.put_nowait(None))
    try:
        while (found := await arrived.get()) is not None:
            yield found
        await work
    finally:
        stop.set()
        limited.interrupt()
        work.cancel()


def run(question: Asked, give: Callable[[Found], None], stop: threading.Event) -> None:
    """Check until the end or until `stop`, in this thread, with processes below it for large files."""
    from tunesmith.recipes.data.checking import check

    with contextlib.ExitStack() as stack:
        # The screen has taken over stderr, which the helper process of multiprocessing wants to inherit.
        with contextlib.redirect_stderr(sys.__stderr__):
            resource_tracker.ensure_running()
        files = question.files
        if question.persona is not None:
            files = (starter_file(question.persona, stack),)
        options = check.Options(
            files=files,
            model=question.model,
            shape=question.shape,
            mapping=question.mapping,
            trained=question.trained,
            max_length=question.max_length,
            over_long=question.over_long,
        )
        preview: list[ShownRow] = []
        reports = check.check(options)
        if isinstance(reports, Generator):
            stack.callback(reports.close)  # ends the processes below
        for report in reports:
            if stop.is_set():
                return
            if fresh := report.samples[len(preview) :]:
                preview += shown(fresh, question.model, question.trained, question.max_length)
            give(Found(report, tuple(preview)))


def starter_file(persona: Persona, stack: contextlib.ExitStack) -> str:
    """The starter's training rows about `persona`, in a file as long as `stack` is open."""
    from tunesmith.recipes import starter

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tunesmith-")))
    rows = starter.starter_rows("train", persona)
    (folder / "starter.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return str(folder / "starter.jsonl")


def first_rows(files: tuple[str, ...]) -> list[RawRow]:
    """The rows that a question about columns is asked with. Raises DataError."""
    from tunesmith.recipes.data.files import reading, sources
    from tunesmith.recipes.data.rows import RawRow

    found = (row for row in reading.rows(sources.find(files)) if isinstance(row, RawRow))
    return list(islice(found, ROWS_LOOKED_AT))


def nothing_typed(draft: Draft) -> bool:
    return draft.data != GIVEN and not draft.data_file.strip()


def refuse_empty(draft: Draft) -> None:
    """Raises DataError when what is to be checked has not been typed."""
    if nothing_typed(draft):
        raise DataError(t("data.empty_path"), t("data.empty_path_hint"), SAID)
    if draft.data != GIVEN:
        return
    for key, text in (("name", draft.persona_name), ("maker", draft.persona_maker)):
        if not text.strip():
            raise DataError(t("data.no_persona", what=t(f"data.{key}")), t("data.no_persona_hint"), SAID)
