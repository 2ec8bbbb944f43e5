"""Over-long rows: refused, dropped, cut or split, never in silence."""

from __future__ import annotations

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Rendered


def fitted(rendered: Rendered, limit: int | None, policy: str) -> list[Rendered]:
    """`rendered` in sequences of at most `limit` tokens by `policy`: drop, cut_left, cut_right, split or error.

    Raises BadRow `over_long` where the row goes (drop) or may not be (error), `nothing_trained` when no token with a
    loss is left. `text` stays the whole text: it says what was cut.
    """
    import numpy as np

    tokens = len(rendered.ids)
    if limit is None or tokens <= limit:
        pieces = [rendered]
    elif policy == "cut_right":
        pieces = [part(rendered, 0, limit)]
    elif policy == "cut_left":
        pieces = [part(rendered, tokens - limit, tokens)]
    elif policy == "split":
        pieces = [part(rendered, start, min(start + limit, tokens)) for start in range(0, tokens, limit)]
    else:
        raise BadRow("over_long", limit=limit, tokens=tokens)
    # The first token of a sequence has nothing before it that could predict it.
    useful = [piece for piece in pieces if np.count_nonzero(piece.trained[1:])]
    if not useful:
        raise BadRow("nothing_trained")
    return useful


def part(rendered: Rendered, start: int, end: int) -> Rendered:
    return Rendered(rendered.text, rendered.ids[start:end], rendered.trained[start:end])
