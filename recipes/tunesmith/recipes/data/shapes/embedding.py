"""An anchor text with texts that belong to it and texts that do not, for embedding and reranking models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Part
from tunesmith.recipes.data.shapes import Content, Shape

ANCHOR = ("anchor", "query", "question", "sentence")
NEGATIVE = ("negative", "negatives", "neg", "hard_negatives", "negative_passages")


def recognise(row: Mapping[str, Any]) -> str | None:
    anchor, positive, negative = (columns.find(row, names) for names in (ANCHOR, columns.POSITIVE, NEGATIVE))
    if anchor is None or positive is None:
        return None
    return f"the columns {anchor}, {positive}" + (f" and {negative}" if negative else "")


def parse(row: Mapping[str, Any]) -> Content:
    names = [columns.column(row, ANCHOR), columns.column(row, columns.POSITIVE)]
    parts = [Part("anchor", text=columns.filled_text(row, names[0])), *numbered(row, names[1], "positive")]
    if len(parts) == 1:
        raise BadRow("empty_text", column=names[1])
    if columns.filled(row, *NEGATIVE):
        names.append(columns.column(row, NEGATIVE))
        parts += numbered(row, names[2], "negative")
    further = sorted((name for name in row if name.startswith("negative_") and name[9:].isdigit()), key=len)
    for name in further:  # negative_1, negative_2, ... as sentence-transformers writes them
        if row[name] is not None:
            made = len([part for part in parts if part.name.startswith("negative")])
            parts += numbered(row, name, "negative", made)
            names.append(name)
    return columns.content(row, tuple(parts), names, [], together=True)


def numbered(row: Mapping[str, Any], name: str, kind: str, before: int = 0) -> list[Part]:
    """The text or texts of a column as parts "positive 1", "positive 2", ... Raises BadRow."""
    found = row[name] if isinstance(row[name], list) else [row[name]]
    # Passages of retrieval sets are objects with a text, sometimes with a docid beside it.
    texts = [passage["text"] if isinstance(passage, dict) and "text" in passage else passage for passage in found]
    return [
        Part(f"{kind} {place}", text=columns.filled_text({name: text}, name))
        for place, text in enumerate(texts, before + 1)
    ]


CARD = Shape(
    key="embedding",
    title="Embedding and reranking",
    blurb="anchor (query), positive (positives, pos) and optional negative (negatives, neg): texts or lists of texts.",
    source="https://sbert.net/docs/sentence_transformer/dataset_overview.html",
    example='{"anchor": "capital of France", "positive": "Paris is the capital.", "negative": "Lyon is a city."}',
    methods=(),
    recognise=recognise,
    parse=parse,
)
