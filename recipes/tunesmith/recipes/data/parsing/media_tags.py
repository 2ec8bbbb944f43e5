"""The files of a row and their tags `<image>`, `<audio>`, `<video>` in its text: as many and in the same order."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Media, Part

TAGS = {"image": "<image>", "audio": "<audio>", "video": "<video>"}
COLUMNS = {
    "images": "image",
    "image": "image",
    "audios": "audio",
    "audio": "audio",
    "videos": "video",
    "video": "video",
}
TAG = re.compile("<(image|audio|video)>")


def source_of(found: object, kind: str) -> str | None:
    """The path, URL or data: URI that `found` names, None when it names none.

    Objects as tables of pictures have them are known too: {"bytes", "path"}, {"url"}; bytes become a data: URI.
    """
    if isinstance(found, dict):
        inner = next((found[key] for key in ("bytes", "url", "path") if found.get(key)), None)
        return source_of(inner, kind) if not isinstance(inner, dict) else None
    if isinstance(found, bytes):
        return f"data:{kind}/*;base64,{b64encode(found).decode('ascii')}"
    return found if isinstance(found, str) and found.strip() else None


def listed(row: Mapping[str, Any]) -> dict[str, tuple[str, list[Media]]]:
    """Kind -> its column and files, of the media columns that are filled. Raises BadRow."""
    by_kind: dict[str, tuple[str, list[Media]]] = {}
    for column, kind in COLUMNS.items():
        found = row.get(column)
        if found is None or found == [] or found == "":
            continue
        if kind in by_kind:
            raise BadRow("two_columns", first=by_kind[kind][0], second=column, field=kind)
        sources = [source_of(item, kind) for item in (found if isinstance(found, list) else [found])]
        if None in sources:
            raise BadRow("bad_media", column=column)
        by_kind[kind] = (column, [Media(kind, source) for source in sources if source is not None])
    return by_kind


def tags(texts: Iterable[str]) -> list[str]:
    """The kinds of the tags in order."""
    return [kind for text in texts if "<" in text for kind in TAG.findall(text)]


def texts(part: Part) -> list[str]:
    if part.messages is None:
        return [part.text or ""]
    return [message["content"] for message in part.messages]


def ordered(
    texts: list[str], inline: list[Media], columns: dict[str, tuple[str, list[Media]]], part: str
) -> tuple[Media, ...]:
    """The files in the order of the tags in `texts`; `inline` stood in the messages.

    Raises BadRow unless there are as many of each kind.
    """
    wanted = tags(texts)
    if not wanted and not inline and not columns:
        return ()
    by_kind: dict[str, list[Media]] = {kind: [] for kind in TAGS}
    for media in inline:
        by_kind[media.kind].append(media)
    for kind, (column, files) in columns.items():
        if by_kind[kind]:
            raise BadRow("two_media", kind=kind, column=column)
        by_kind[kind] = files
    for kind, files in by_kind.items():
        if wanted.count(kind) != len(files):
            raise BadRow("media_count", tags=wanted.count(kind), kind=kind, part=part, files=len(files))
    following = {kind: iter(files) for kind, files in by_kind.items()}
    return tuple(next(following[kind]) for kind in wanted)
