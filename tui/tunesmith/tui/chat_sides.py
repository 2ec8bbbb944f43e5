"""Both conversations of a chat, with the tuned model and with its base: which are shown, votes, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.daemon.api import images
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.tools import Tool
from tunesmith.tui import attaching, votes
from tunesmith.tui.conversation import Turn, question
from tunesmith.tui.saved_chats import Found, Keeper, Mode, at_rest

SHOWN: dict[Mode, tuple[bool, ...]] = {"tuned": (False,), "base": (True,), "split": (False, True)}


class Sides:
    """Each model keeps its own conversation; `said` has the tuned model's by False and the base's by True.

    A question goes to the models that are shown. `anew` is what a person presses or types for a new chat.
    """

    def __init__(self, home: Home, job_id: int, mode: Mode = "tuned", *, anew: str) -> None:
        self.home, self.job_id, self.anew = home, job_id, anew
        self.mode: Mode = mode
        self.system = ""
        self.tools: tuple[Tool, ...] = ()  # that the models may call
        self.said: dict[bool, tuple[Turn, ...]] = {False: (), True: ()}
        self.ballot = votes.Ballot(home, job_id, anew)
        self.keeper = Keeper(home, job_id)

    @property
    def shown(self) -> tuple[bool, ...]:
        return SHOWN[self.mode]

    def switched(self, mode: Mode) -> Mode:
        """What is shown once `mode` is asked for: from itself it leads back to the tuned model."""
        return "tuned" if self.mode == mode else mode

    def urls(self, attached: Sequence[Attached]) -> dict[bool, list[str]]:
        """Of the images that each model that is shown would get with the next question."""
        more = [image.url for image in attached]
        return {base: [*attaching.urls(self.said[base]), *more] for base in self.shown}

    def refuse_too_many(self, attached: Sequence[Attached]) -> None:
        """Raises DataError where one of the models shown would get more images than it takes."""
        for urls in self.urls(attached).values():
            images.refuse_too_many(urls)

    @property
    def stand(self) -> votes.Stand:
        """Of the votes, where both models are shown."""
        return self.ballot.stand(self.said[False], self.said[True]) if self.mode == "split" else None

    def vote(self, better: votes.Better) -> None:
        """Raises votes.Refused, TunesmithError."""
        self.ballot.vote(better, self.said[False], self.said[True])

    @property
    def on_from_better(self) -> dict[bool, tuple[Turn, ...]]:
        """Both conversations; after a vote from the better answer, so that the next ones can be compared too."""
        if isinstance(vote := self.stand, votes.Cast):
            return {side == "base": turns for side, turns in votes.go_on(vote).items()}
        return self.said

    def rest(self) -> None:
        """An answer that is still under way, or was not begun, is stopped."""
        self.said = {base: at_rest(turns) for base, turns in self.said.items()}

    def begin(self, found: Found | None = None) -> None:
        """A new chat, or one that was saved, as it was shown."""
        self.keeper.begin(found)
        self.said = {False: (), True: ()}
        if found is not None:
            self.said = {False: found.chat.tuned, True: found.chat.base}
            self.mode, self.system = found.chat.mode, found.chat.system
            asked = next(filter(None, (question(self.said[base]) for base in self.shown)), None)
            self.tools = () if asked is None else asked.tools

    def keep(self) -> bool:
        """Whether there is something for the keeper to write."""
        return self.keeper.keep(self.mode, self.system, self.said[False], self.said[True])
