"""Every sentence a person reads, by key; a language is one TOML file here, switched to live."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tunesmith.tui.line_breaks import between_ideographs

FOLDER = Path(__file__).parent
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))  # the codes; `name()` says what each is called

_language = "en"
between_ideographs()


@cache
def load(language: str) -> Mapping[str, str]:
    """All texts of `language`, flattened: `[rail] machine = ...` is `rail.machine`."""
    sections = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))
    return {f"{name}.{key}": text for name, texts in sections.items() for key, text in texts.items()}


def t(key: str, **values: object) -> str:
    """The text of `key` in the current language with `{name}` places filled from `values`."""
    text = load(_language)[key]
    return text.format(**values) if values else text


def language() -> str:
    return _language


def use(language: str) -> None:
    """Texts asked for from now on are in `language`; what is on screen changes when it is composed again."""
    global _language
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}")
    _language = language


def name(language: str) -> str:
    """What its speakers call it."""
    return load(language)["language.name"]


def from_environment(environ: Mapping[str, str]) -> str:
    """The language of LC_ALL, LC_MESSAGES or LANG, in that order; English for one that nobody has written yet.

    `pt_BR.UTF-8` is `pt_br` where there is such a file, else `pt`.
    """
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(variable):
            locale = value.partition(".")[0].partition("@")[0].lower().replace("-", "_")
            return next((code for code in (locale, locale.partition("_")[0]) if code in LANGUAGES), "en")
    return "en"


def shown(key_or_text: str) -> str:
    """The text when `key_or_text` is a key of ours (a binding's description), else itself."""
    return load(_language).get(key_or_text, key_or_text)
