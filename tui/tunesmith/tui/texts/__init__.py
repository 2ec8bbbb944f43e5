"""Every sentence a person reads, by key, in English and Chinese; switched live."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "zh": "中文"}

_language = "en"


@cache
def load(language: str) -> Mapping[str, str]:
    """All texts of `language`, flattened: `[rail] machine = ...` is `rail.machine`."""
    sections = tomllib.loads((Path(__file__).parent / f"{language}.toml").read_text("utf-8"))
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


def from_environment(environ: Mapping[str, str]) -> str:
    """The language of LC_ALL, LC_MESSAGES or LANG, in that order; English for anything but Chinese."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def shown(key_or_text: str) -> str:
    """The text when `key_or_text` is a key of ours (a binding's description), else itself."""
    return load(_language).get(key_or_text, key_or_text)
