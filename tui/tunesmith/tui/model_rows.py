"""Models of the cache as rows of a table: what each is called, what it takes, how whole it is and which runs use it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from textual.content import Content

from tunesmith.daemon.api.model_store import Incomplete, Snapshot
from tunesmith.recipes.models.source import LOCAL, Repository
from tunesmith.recipes.spec import STARTER
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.models_here import Chosen, Here
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t

REVISION_CELLS = 8
RUNS_SHOWN = 3
FAINT = "$foreground 60%"
MARKS = {"whole": ("✓", "$success"), "verified": ("✓", "$success bold"), "damaged": ("✗", "$error bold"),
         "partial": ("◐", "$warning"), "given": ("★", "$primary")}  # fmt: skip


class ModelRow(msgspec.Struct, frozen=True):
    """`bytes` of the whole and `there` of it on this disk; `damaged` files as a check found them."""

    name: str
    hub: str
    revision: str
    bytes: int
    there: int
    state: Literal["whole", "verified", "damaged", "partial", "given"]
    folder: Path
    runs: tuple[int, ...] = ()
    fetched: float = 0.0
    origin: str = ""
    unpacked: bool = False
    damaged: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    incomplete: Incomplete | None = None

    @property
    def asked(self) -> str:
        """What a pull of it, or a check, is asked for."""
        if self.snapshot is not None:
            kept = self.snapshot.kept
            return kept.source if kept.branch == kept.revision else kept.name
        return f"{self.hub}:{self.name}" if self.hub else self.name

    @property
    def meant(self) -> Chosen:
        """Just this revision."""
        whole = [] if self.snapshot is None else [self.snapshot]
        begun = [] if self.incomplete is None else [self.incomplete]
        return Chosen(one_line(self.asked), whole, begun)


def rows(here: Here, checked: Mapping[Path, tuple[str, ...]]) -> list[ModelRow]:
    """Downloads that are not complete first, then by name, the starter last; `checked` as ModelWork found it."""
    found = [
        ModelRow(
            one.partial.repository, one.partial.hub, one.partial.revision, one.partial.bytes, one.partial.there,
            "partial", one.folder, incomplete=one,
        )
        for one in here.incomplete
    ]  # fmt: skip
    found += sorted(
        (_of_snapshot(one, here, checked) for one in here.snapshots), key=lambda row: (row.name.casefold(), row.hub)
    )
    if here.starter is not None:
        size = sum(path.stat().st_size for path in here.starter.iterdir())
        runs = tuple(here.users.get(here.starter, ()))
        found.append(ModelRow(STARTER, "", "", size, size, "given", here.starter, runs))
    return found


def _of_snapshot(one: Snapshot, here: Here, checked: Mapping[Path, tuple[str, ...]]) -> ModelRow:
    kept = one.kept
    damaged = checked.get(one.folder, ())
    # Without files the record itself is damaged: the folder is there, what belongs to it is not known.
    bad = bool(damaged) or not kept.files
    state: Literal["whole", "verified", "damaged"] = (
        "damaged" if bad else "verified" if one.folder in checked else "whole"
    )
    return ModelRow(
        kept.repository, kept.hub, kept.revision, kept.bytes, kept.bytes, state, one.folder,
        tuple(here.users.get(one.folder, ())), kept.fetched, kept.origin, kept.unpacked, damaged, one,
    )  # fmt: skip


def matches(row: ModelRow, typed: str) -> bool:
    """Whether every word that is typed stands somewhere in its name, hub, revision or state."""
    said = f"{row.name} {row.hub} {row.revision} {t(f'models.state_{row.state}')}".casefold()
    return all(word in said for word in typed.casefold().split())


def name(row: ModelRow) -> Content:
    return Content.styled(one_line(row.name), "bold") if row.state != "partial" else Content(one_line(row.name))


def hub(row: ModelRow) -> Content:
    return Content.styled(one_line(row.hub), FAINT)


def revision(row: ModelRow) -> Content:
    return Content.styled(one_line(row.revision)[:REVISION_CELLS], FAINT)


def size(row: ModelRow) -> Content:
    return Content(bytes_text(row.there))


def state(row: ModelRow) -> Content:
    mark, style = MARKS[row.state]
    share = f" {share_of(row.there, row.bytes)}" if row.state == "partial" else ""
    return Content.assemble((f"{mark} ", style), t(f"models.state_{row.state}"), share)


def used_by(row: ModelRow) -> Content:
    more = f" +{len(row.runs) - RUNS_SHOWN}" if len(row.runs) > RUNS_SHOWN else ""
    return Content(", ".join(str(run) for run in row.runs[-RUNS_SHOWN:]) + more)


def fetched(row: ModelRow) -> Content:
    day = datetime.date.fromtimestamp(row.fetched).isoformat() if row.fetched else ""
    return Content.styled(day, FAINT)


def share_of(done: int, total: int) -> str:
    return f"{done / total:.0%}" if total else ""


def facts(row: ModelRow) -> list[Content]:
    """What the table has no room for, a line each: where it lies, what it was made of, what is wrong and what to do."""
    source = str(Repository(row.hub, row.name, row.revision)) if row.hub else row.name
    lines = [_line("models.fact_source", source), _line("models.fact_folder", str(row.folder))]
    if row.state == "partial":
        lines.append(_line("models.fact_here", t("models.of", done=bytes_text(row.there), total=bytes_text(row.bytes))))
        lines.append(_way(t("models.go_on")))
    if row.origin:
        lines.append(_line("models.fact_origin", row.origin + (t("models.was_gguf") if row.unpacked else "")))
    if row.state == "damaged":
        what = row.damaged[0] if row.damaged else t("models.no_record")
        more = t("models.and_more", count=len(row.damaged) - 1) if len(row.damaged) > 1 else ""
        lines.append(Content.assemble(("✗ ", "$error bold"), one_line(what), more))
        lines.append(_way(t("models.mend_local" if row.hub == LOCAL else "models.mend")))
    if row.runs:
        lines.append(_line("models.fact_runs", ", ".join(str(run) for run in row.runs)))
    elif row.state in ("whole", "verified"):
        lines.append(_line("models.fact_runs", t("models.no_run")))
    return lines


def _line(key: str, value: str) -> Content:
    return Content.assemble((f"{t(key)}  ", FAINT), one_line(value))


def _way(text: str) -> Content:
    return Content.assemble(("→ ", "$secondary bold"), text)
