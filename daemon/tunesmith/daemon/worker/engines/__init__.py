"""Engines: what runs a model. One file a card; `loop` gives each of them the same requests, `suits` says for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from tunesmith.daemon.serving.lines import Sampling
from tunesmith.recipes import catalog
from tunesmith.recipes.data.rendering.chat_template import ChatTemplate
from tunesmith.recipes.errors import ModelError, nearest


class Token(NamedTuple):
    """`logprob` and `top` (token, logprob) only where they were asked for."""

    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Picture(msgspec.Struct, frozen=True):
    """`pixels` are bytes of red, green and blue, row by row from the top."""

    width: int
    height: int
    pixels: bytes


class Seen(Protocol):
    """Tokens with pictures among them."""

    @property
    def ids(self) -> list[int]: ...


class Prompt(msgspec.Struct, frozen=True):
    """What an answer begins from. `grammar` is GBNF, "" for none; `scored` asks for the prompt's own logprobs too.

    `seen` are pictures among its tokens, in an engine's own way: negative numbers in `ids` stand for them.
    """

    ids: list[int]
    sampling: Sampling
    grammar: str = ""
    adapter: str = ""
    scored: bool = False
    seen: Any = None


class Writing(Protocol):
    """An answer that is being written in an engine. `scores` are of the prompt's tokens from the second on."""

    @property
    def reused(self) -> int: ...
    @property
    def scores(self) -> Sequence[Token]: ...


class Reader(Protocol):
    """Tokens of one answer as text; a character that is not whole yet comes with a later token, or is the rest."""

    def read(self, token: int) -> str: ...
    def rest(self) -> str: ...


class Engine(Protocol):
    """One loaded model, used from one thread. `grammars`: whether it can be held to a grammar. `mark` in a text stands
    for a picture, "" where it sees none.
    """

    name: str
    context_tokens: int
    slots: int
    template: ChatTemplate | None
    grammars: bool
    mark: str

    def see(self, text: str, pictures: Sequence[Picture]) -> Seen:
        """`text` as tokens with `pictures` at its marks. Raises ModelError."""
        ...

    def tokenize(self, text: str, alone: bool) -> list[int]:
        """`alone`: no chat template made it, so it begins as the model's texts begin."""
        ...

    def reader(self, special: bool) -> Reader: ...
    def token_text(self, token: int) -> str: ...
    def is_end(self, token: int) -> bool: ...

    def begin(self, prompt: Prompt) -> Any | None:
        """A Writing, or None while there is no room. Raises ModelError for a grammar or an adapter it cannot use."""
        ...

    def step(self, writings: Sequence[Any]) -> list[tuple[Any, Token]]:
        """Work on some or all of `writings`; the next token of those that came so far."""
        ...

    def end(self, writing: Any) -> None: ...
    def embed(self, ids: list[int], adapter: str) -> list[float]: ...
    def close(self) -> None: ...


class Options(msgspec.Struct, frozen=True):
    """`context` tokens of a conversation at most, `slots` answers at once; `scratch` is a folder for it to make, `eyes`
    the file that it sees with.
    """

    context: int
    slots: int
    scratch: Path
    eyes: Path | None = None


class Card(msgspec.Struct, frozen=True):
    """`suits(path)`: whether it runs what lies there; the first card that does is taken. `open` raises ModelError."""

    key: str
    title: str
    suits: Callable[[Path], bool]
    open: Callable[[Path, Options], Engine]


@cache
def cards() -> Mapping[str, Card]:
    return catalog.load(__name__, Card)


def chosen(name: str, path: Path) -> Card:
    """The card of that key, or with `auto` the first that suits. Raises ModelError."""
    if name != "auto":
        if name not in cards():
            raise ModelError(f"There is no engine '{name}'", nearest(name, cards()), "engine")
        return cards()[name]
    for card in cards().values():
        if card.suits(path):
            return card
    raise ModelError(f"No engine runs {path}", "Give a .gguf file, or a model folder with config.json.", "engine")
