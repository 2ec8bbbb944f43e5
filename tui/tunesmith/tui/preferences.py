"""What a person has settled (language, theme, first hub, offline) as the wizard uses and remembers it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from tunesmith.daemon.api import settings
from tunesmith.daemon.api.settings import InForce, Settings
from tunesmith.tui import texts

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home

LIGHT_BACKGROUNDS = ("7", "15")  # the last part of COLORFGBG on a light terminal
PREFIX = "tunesmith-"


class Preferences:
    """`kept=False`: nothing is read or written, for tests and snapshots. `error` is why the file cannot be used."""

    def __init__(self, home: Home, environment: MutableMapping[str, str], *, kept: bool = True) -> None:
        self.home = home
        self.environment = environment
        self.kept = kept
        self.settings, self.error = settings.usable(home) if kept else (Settings(), None)
        self._settle()

    def in_force(self) -> dict[str, InForce]:
        return settings.in_force(self.settings, self.environment)

    def change(self, key: str, text: str) -> None:
        """Raises SettingsError; nothing has changed then."""
        if self.kept:
            self.settings, self.error = settings.change(self.home, key, text, texts.LANGUAGES), None
        else:
            self.settings = settings.changed(self.settings, key, text, texts.LANGUAGES)
        self._settle()

    def _settle(self) -> None:
        if self.kept:
            settings.settle(self.settings, self.environment)

    @property
    def language(self) -> str:
        """One of `texts.LANGUAGES`."""
        wanted = self.in_force()["language"].value
        return wanted if wanted in texts.LANGUAGES else texts.from_environment(self.environment)

    @property
    def theme(self) -> str:
        """The name of one of `theme.THEMES`."""
        from tunesmith.tui.theme import DARK, LIGHT, THEMES

        wanted = self.in_force()["theme"].value
        names = {said_of(theme.name): theme.name for theme in THEMES}
        light = self.environment.get("COLORFGBG", "").rpartition(";")[2] in LIGHT_BACKGROUNDS
        return names.get(wanted, LIGHT.name if light else DARK.name)


def choices(key: str) -> tuple[str, ...]:
    """What can be chosen here and now: of the themes those that there are."""
    if key == "language":
        return ("auto", *texts.LANGUAGES)
    if key != "theme":
        return settings.CHOICES[key]
    from tunesmith.tui.theme import THEMES

    return ("auto", *(said_of(theme.name) for theme in THEMES if said_of(theme.name) in settings.CHOICES[key]))


def said_of(theme: str) -> str:
    """The name of a theme as a person types it."""
    return theme.removeprefix(PREFIX)
