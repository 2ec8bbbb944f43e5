"""A run's report written to a file, as its suffix says: HTML, or Markdown with its pictures beside it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from tunesmith.daemon.api.job_recipe import recipe_of
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes import machine
from tunesmith.recipes.errors import JobError, TunesmithError
from tunesmith.recipes.machine import Machine
from tunesmith.recipes.spec import JobSpec
from tunesmith.tui.plain import harmless
from tunesmith.tui.report.blocks import Picture
from tunesmith.tui.report.contents import contents, title
from tunesmith.tui.report.curves import standalone
from tunesmith.tui.report.markdown import markdown, picture_name
from tunesmith.tui.report.page import page
from tunesmith.tui.texts import t

HTML, MARKDOWN = (".html", ".htm"), (".md", ".markdown")


def write(view: JobView, path: Path, here: Machine | None = None) -> list[Path]:
    """The files that were written, the report first. `here` is the machine where it was found already.

    Raises TunesmithError for a suffix that is neither's, OSError.
    """
    refuse_other_suffix(path)
    blocks = contents(view, known_recipe(view), here or machine.detect(Path(view.folder)))
    footer = t("report.made_by", version=importlib.metadata.version("tunesmith"))
    if path.suffix.lower() in HTML:
        _put(path, page(title(view), blocks, footer))
        return [path]
    _put(path, markdown(blocks, path.stem, footer))
    written = [path]
    for block in blocks:
        if isinstance(block, Picture):
            written.append(path.with_name(picture_name(path.stem, block)))
            _put(written[-1], standalone(block.svg))
    return written


def refuse_other_suffix(path: Path) -> None:
    if path.suffix.lower() not in (*HTML, *MARKDOWN):
        raise TunesmithError(
            f"A report is HTML or Markdown, and {path.name} ends in neither", "Give report.html or report.md.", "usage"
        )


def known_recipe(view: JobView) -> JobSpec | None:
    """None where it cannot be read any more; the report says so."""
    try:
        return recipe_of(view)
    except JobError:
        return None


def _put(path: Path, text: str) -> None:
    """After a last look: whoever prints the file on a terminal must not be steered by it."""
    path.write_text(harmless(text), "utf-8")
