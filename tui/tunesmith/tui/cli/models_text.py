"""How models look on the command line: tables for people, plain values for --json."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from tunesmith.recipes.spec import STARTER
from tunesmith.recipes.units import bytes_text, count_text, duration_text
from tunesmith.tui.cli.plan_lists import MARKS, STYLES, grid
from tunesmith.tui.plain import plain
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.daemon.api.model_store import Snapshot
    from tunesmith.daemon.api.models import Checked, Pulled, Result
    from tunesmith.tui.cli.model_shown import Shown
    from tunesmith.tui.models_here import Here

REVISION_CELLS = 8
FILES_SHOWN = 30


def found(results: Sequence[Result]) -> Table:
    table = grid("model", "downloads", "license", "gated", "catalogue")
    for one in results:
        table.add_row(
            Text(plain(one.id)),
            count_text(one.downloads),
            Text(plain(one.license)),
            "yes" if one.gated else "",
            one.key,
        )
    return table


def pulled(done: Pulled) -> dict[str, Any]:
    return kept(done.model) | {"folder": done.folder, "fetched_bytes": done.fetched}


def kept(model: Any) -> dict[str, Any]:
    return {
        "source": model.source, "name": model.name, "hub": model.hub, "repository": model.repository,
        "revision": model.revision, "branch": model.branch, "bytes": model.bytes, "fetched": model.fetched,
        "origin": model.origin, "unpacked_gguf": model.unpacked,
    }  # fmt: skip


def listing(here: Here) -> dict[str, Any]:
    return {
        "models": [
            kept(one.kept) | {"folder": str(one.folder), "used_by": here.users.get(one.folder, [])}
            for one in here.snapshots
        ],
        "starter": str(here.starter) if here.starter else None,
        "incomplete": [
            {"hub": one.partial.hub, "repository": one.partial.repository, "revision": one.partial.revision,
             "bytes": one.partial.bytes, "there_bytes": one.partial.there, "folder": str(one.folder)}
            for one in here.incomplete
        ],
        "bytes": here.bytes,
    }  # fmt: skip


def table(here: Here) -> Table:
    shown = grid("model", "size", "revision", "fetched", "used by run")
    if here.starter is not None:
        size = bytes_text(sum(path.stat().st_size for path in here.starter.iterdir()))
        used = ", ".join(str(run) for run in here.users.get(here.starter, []))
        shown.add_row(STARTER, size, "", "with the install", used)
    for one in here.snapshots:
        day = datetime.date.fromtimestamp(one.kept.fetched).isoformat() if one.kept.fetched else ""
        used = ", ".join(str(run) for run in here.users.get(one.folder, []))
        shown.add_row(
            Text(plain(one.kept.name)), bytes_text(one.kept.bytes), one.kept.revision[:REVISION_CELLS], day, used
        )
    return shown


def notes(here: Here) -> Iterator[Text]:
    for one in here.incomplete:
        name = f"{one.partial.hub}:{one.partial.repository}"
        there = f"{bytes_text(one.partial.there)} of {bytes_text(one.partial.bytes)} are here"
        yield Text(f"not complete: {name}, {there};  go on:  tunesmith models pull {name}", "yellow")
    yield Text(f"\n{bytes_text(here.bytes)} on this disk; files that several models share are counted once.")


def card(shown: Shown) -> dict[str, Any]:
    said, badge = shown.said, shown.badge
    return {
        "name": shown.name,
        "hub": said and said.hub,
        "id": said and said.id,
        "revision": said and said.revision,
        "license": said and said.license,
        "gated": said and said.gated,
        "page": said and said.page,
        "downloads": said and said.downloads,
        "parameters": parameters(shown),
        "fetched_bytes": said and said.bytes,
        "files": said.files if said else [],
        "withheld": said and said.withheld,
        "unusable": said and said.unusable,
        "here": [kept(one.kept) | {"folder": str(one.folder)} for one in shown.kept],
        "fit": badge and {"verdict": badge.verdict, "bytes": badge.bytes, "place": shown.place and shown.place.name},
    }


def parameters(shown: Shown) -> int | None:
    if shown.said is not None and shown.said.parameters:
        return shown.said.parameters
    return shown.facts.parameters if shown.facts is not None else None


def card_lines(shown: Shown) -> Iterator[Text]:
    said = shown.said
    if said is not None:
        yield Text(f"{said.hub}:{said.id}", "bold")
        yield row("license", plain(said.license) or "not stated")
        if said.gated:
            yield row("gated", f"its terms have to be accepted: {said.page}")
    elif shown.kept:
        yield Text(shown.kept[-1].kept.name, "bold")
    count = parameters(shown)
    if count is not None:
        yield row("parameters", count_text(count))
    if shown.badge is not None and shown.place is not None:
        yield fit(shown)
    for one in shown.kept:
        yield row("here", f"{bytes_text(one.kept.bytes)}, revision {one.kept.revision[:REVISION_CELLS]}, {one.folder}")
        yield from origin(one)
    if said is None:
        return
    if said.unusable is not None:
        yield row("unusable", f"{plain(said.unusable.message)}. {said.unusable.hint}", "red")
    elif not shown.kept:
        yield row("to fetch", f"{bytes_text(said.bytes)}:  tunesmith models pull {said.hub}:{said.id}")
    if said.withheld is not None:
        yield row("withheld", f"{plain(said.withheld.message)}. {said.withheld.hint}", "yellow")
    needed = [file for file in said.files if file.needed]
    for file in needed[:FILES_SHOWN]:
        yield Text(f"  {bytes_text(file.bytes):>9}  {plain(file.path)}")
    others = len(said.files) - min(len(needed), FILES_SHOWN)
    if others:
        yield Text(f"  and {others} files more, of which {max(0, len(needed) - FILES_SHOWN)} are needed")


def origin(one: Snapshot) -> Iterator[Text]:
    if one.kept.unpacked:
        yield row("made of", f"{plain(one.kept.origin)}, whose weights are quantized: not the original ones", "yellow")
    elif one.kept.origin:
        yield row("made of", plain(one.kept.origin))


def fit(shown: Shown) -> Text:
    assert shown.badge is not None and shown.place is not None
    badge = shown.badge
    seconds = badge.seconds_per_1k_rows
    took = f", {duration_text(seconds)} for 1,000 rows" if seconds is not None and badge.verdict != "not" else ""
    text = Text(f"{'fit':<11}")
    text.append(f"{MARKS[badge.verdict]} {t(f'plan.{badge.verdict}')}", STYLES[badge.verdict])
    return text.append(f": {bytes_text(badge.bytes)} of memory on {shown.place.name}{took}")


def row(name: str, value: str, style: str = "") -> Text:
    return Text(f"{name:<11}").append(value, style)


def checked(models: Sequence[Checked]) -> Iterator[Text]:
    for one in models:
        if not one.damaged:
            yield Text.assemble(("whole    ", "green"), plain(one.source))
            continue
        yield Text.assemble(("damaged  ", "bold red"), plain(one.source))
        for problem in one.damaged:
            yield Text(f"         {plain(problem)}")
        yield Text(f"         mend it:  {one.mend}")
    if not models:
        yield Text("There is no model in the cache.")
