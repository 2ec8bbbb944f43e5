"""Events of words, with what these mean, so that whoever shows them can say it in the language of a person."""

from __future__ import annotations

import time

from tunesmith.daemon.api.events import Notice, PathTaken
from tunesmith.recipes.words import Words, meaning


def notice(level: str, words: Words) -> Notice:
    """`words` said now."""
    return Notice(time=time.time(), level=level, text=str(words), code=words.said.code, values=words.said.values)


def path(part: str, taken: str, why: str, *, fastest: bool = True) -> PathTaken:
    """How a part is computed; names of libraries and figures have no code, and are the same in every language."""
    return PathTaken(part, str(taken), str(why), fastest, meaning(taken), meaning(why))
