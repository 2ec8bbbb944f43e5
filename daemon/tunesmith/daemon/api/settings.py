"""What a person has settled once for all (language, theme, first hub, offline, engines): one strict file in the home.

The environment wins over it. What it settles is put into the environment of the program that read it, so that hub and
offline are asked for in one place; a daemon is started without that, for it outlives a change of mind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from tunesmith.daemon.api import engines, offline, whole_files
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.recipes.errors import MachineError, TunesmithError, nearest
from tunesmith.recipes.models import source

FORMAT, VERSION = "tunesmith-settings", 1
SETTLED = "TUNESMITH_SETTLED"  # names of the variables that come from the file, for programs that this one starts
VARIABLES = {
    "language": "TUNESMITH_LANGUAGE", "theme": "TUNESMITH_THEME", "hub": source.VARIABLE, "offline": offline.VARIABLE,
    **{f"{engines.SETTING}{row.key}": f"{engines.VARIABLE}{row.key.upper()}" for row in engines.BESIDE},
}  # fmt: skip
CHOICES: Mapping[str, tuple[str, ...]] = {  # languages are those that somebody has written: the caller says which
    "theme": ("auto", "dark", "light", "contrast"),
    "hub": source.HUBS,
    "offline": ("false", "true"),
}
LANGUAGE = "^(auto|[a-z]{2,3}(_[a-z]{2,8})?)$"
WAY_OUT = "or begin anew with `tunesmith settings reset`, which keeps the old file beside the new one."


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`auto`: the language of the locale, the theme that suits the terminal's background.

    `serve` says by an engine's key where its command, its Python or its environment is.
    """

    language: Annotated[str, msgspec.Meta(pattern=LANGUAGE)] = "auto"
    theme: Literal["auto", "dark", "light", "contrast"] = "auto"
    hub: Literal["modelscope", "huggingface"] = "modelscope"
    offline: bool = False
    serve: dict[str, str] = {}

    def text(self, key: str) -> str:
        """As it is typed."""
        if (engine := engine_of(key)) is not None:
            return self.serve.get(engine, "")
        value = getattr(self, key)
        return str(value).lower() if isinstance(value, bool) else str(value)


KEYS = tuple(VARIABLES)
CHOSEN = ("language", "theme", "hub", "offline")  # among values that there are; the others are places


def engine_of(key: str) -> str | None:
    """The engine whose place `key` settles; None for another key."""
    return key.removeprefix(engines.SETTING) if key.startswith(engines.SETTING) else None


class InForce(msgspec.Struct, frozen=True):
    """What counts now for one key; `by` is file, default, or the variable that is set."""

    value: str
    by: str

    @property
    def by_environment(self) -> bool:
        return self.by not in ("file", "default")


class SettingsError(TunesmithError):
    """The file cannot be read or written, or there is no such setting."""

    code = "settings"


def read(home: Home) -> Settings:
    """All defaults where there is no file. Raises SettingsError; the file is left as it is."""
    path = home.settings
    try:
        said: Any = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        written = msgspec.convert(said.pop("version", None), int)
        if said.pop("format", None) != FORMAT:
            raise msgspec.ValidationError(f"it does not say that it is a {FORMAT}")
        if written > VERSION:
            raise SettingsError(
                f"{path} was written by a newer Tunesmith (version {written}, this one knows {VERSION})",
                f"Update Tunesmith, {WAY_OUT}", "settings_newer",
            )  # fmt: skip
        return msgspec.convert(said, Settings)
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be used: {error}", f"Correct it, {WAY_OUT}", "settings_damaged") from error
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}", f"Make it readable, {WAY_OUT}", "settings_unreadable"
        ) from error


def write(home: Home, settings: Settings) -> None:
    """Whole or not at all. Raises SettingsError."""
    body = {"format": FORMAT, "version": VERSION, **msgspec.structs.asdict(settings)}
    if not settings.serve:  # nothing that a Tunesmith of before would not know
        del body["serve"]
    try:
        private_folder(home.root)
        whole_files.replace(home.settings, msgspec.json.format(msgspec.json.encode(body)))
    except OSError as error:
        raise SettingsError(
            f"{home.settings} cannot be written: {error.strerror}", "Free some space, or set TUNESMITH_HOME elsewhere."
        ) from error


def change(home: Home, key: str, text: str, languages: Collection[str]) -> Settings:
    """With `key` as typed; what is there and cannot be read is not written over. Raises SettingsError."""
    settings = changed(read(home), key, text, languages)
    write(home, settings)
    return settings


def changed(settings: Settings, key: str, text: str, languages: Collection[str]) -> Settings:
    """Raises SettingsError."""
    if (engine := engine_of(known(key))) is not None:
        return _with_place(settings, engine, text)
    if key == "offline":
        word = text.strip().lower()
        text = "true" if word in offline.YES else "false" if word in {"0", "false", "no", "off"} else text
    choices = ("auto", *languages) if key == "language" else CHOICES[key]
    if text not in choices:
        raise SettingsError(f"{key} cannot be '{text[:100]}'", f"One of these: {', '.join(choices)}.", "settings_value")
    return msgspec.convert({**msgspec.structs.asdict(settings), key: text}, Settings, strict=False)


def _with_place(settings: Settings, engine: str, text: str) -> Settings:
    """ "" takes it back. Raises SettingsError where nothing can be run."""
    others = {key: value for key, value in settings.serve.items() if key != engine}
    if not text:
        return msgspec.structs.replace(settings, serve=others)
    place = str(Path(text).expanduser().absolute())  # a link stays one: an environment's Python is a link
    try:
        engines.found(engines.ENGINES[engine], place, {})
    except MachineError as error:
        raise SettingsError(error.message, error.hint, "settings_value") from error
    return msgspec.structs.replace(settings, serve={**others, engine: place})


def known(key: str) -> str:
    """Raises SettingsError."""
    if key not in KEYS:
        raise SettingsError(f"There is no setting '{key[:100]}'", nearest(key, KEYS), "unknown_setting")
    return key


def reset(home: Home) -> Path | None:
    """No file: all by default. One that could not be read is kept, and where is told. Raises SettingsError."""
    kept: Path | None = None
    try:
        _, unusable = usable(home)
        if unusable is not None:
            kept = home.settings.with_name("settings-before.json")
            os.replace(home.settings, kept)
        home.settings.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{home.settings} cannot be removed: {error.strerror}", "Make its folder writable."
        ) from error
    return kept


def in_force(settings: Settings, environment: Mapping[str, str]) -> dict[str, InForce]:
    """By key."""
    return {key: of_environment(key, environment) or of_file(settings, key) for key in KEYS}


def of_file(settings: Settings, key: str) -> InForce:
    value = settings.text(key)
    return InForce(value, "default" if value == Settings().text(key) else "file")


def of_environment(key: str, environment: Mapping[str, str]) -> InForce | None:
    settled = environment.get(SETTLED, "").split()
    names = offline.VARIABLES if key == "offline" else (VARIABLES[key],)
    if engine_of(key) is not None:
        return InForce(value, names[0]) if (value := environment.get(names[0], "").strip()) else None
    said = {name: environment[name].strip().lower() for name in names if name not in settled and environment.get(name)}
    if key == "offline":
        forbids = [name for name, word in said.items() if word in offline.YES]
        by = forbids or list(said)
        return InForce(str(bool(forbids)).lower(), by[0]) if by else None
    for name, word in said.items():
        # A hub that is none is refused where it is asked; a language or theme that is none is nobody's wish.
        if key == "hub" or (re.match(LANGUAGE, word) if key == "language" else word in CHOICES[key]):
            return InForce(word, name)
    return None


def settle(settings: Settings, environment: MutableMapping[str, str]) -> None:
    """Let `settings` count in this program and in those that it starts, as far as the environment is silent."""
    mine = of_the_person(environment)
    for name in set(environment) - set(mine):
        del environment[name]
    wanted: dict[str, str] = {}
    if settings.hub != Settings().hub:
        wanted[source.VARIABLE] = settings.hub
    if settings.offline:
        wanted[offline.VARIABLE] = "1"
    settled = {name: value for name, value in wanted.items() if name not in mine}
    if settled:
        environment.update({**settled, SETTLED: " ".join(settled)})


def of_the_person(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what `settle` put there."""
    ours = {SETTLED, *environment.get(SETTLED, "").split()}
    return {name: value for name, value in environment.items() if name not in ours}


def command_of(row: engines.Row, home: Home, environment: Mapping[str, str]) -> Path | None:
    """Where the engine `row` is; None where it is not installed. Raises SettingsError, MachineError."""
    settled = in_force(read(home), environment)[f"{engines.SETTING}{row.key}"]
    return engines.found(row, settled.value, environment)


def usable(home: Home) -> tuple[Settings, SettingsError | None]:
    """What counts where the file cannot be read, and why: it may forbid connections, so none is made until then."""
    try:
        return read(home), None
    except SettingsError as error:
        return Settings(offline=True), error
