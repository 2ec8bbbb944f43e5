"""`tunesmith settings`: what is settled, by whom, for every command; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.daemon.api.home import Home


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNESMITH_HUB", "TUNESMITH_OFFLINE", "HF_HUB_OFFLINE", "TUNESMITH_LANGUAGE", "TUNESMITH_THEME"):
        monkeypatch.delenv(name, raising=False)


def test_what_is_set_counts_for_other_commands(tunesmith: Any, home: Home) -> None:
    assert tunesmith("settings", "set", "offline", "on").out == "offline = true\n"
    refused = tunesmith("models", "search", "qwen", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "offline")
    tunesmith("settings", "set", "language", "zh")
    assert "名称" in tunesmith("plan", "--machines").out
    shown = tunesmith("settings", "show", "--json").json
    assert shown["settings"]["offline"] == {"value": True, "by": "file"}
    assert shown["settings"]["hub"] == {"value": "modelscope", "by": "default"}
    assert {place["key"] for place in shown["places"]} >= {"home", "models", "socket", "log"}
    assert "settings.json" in tunesmith("settings").out
    assert tunesmith("settings", "reset", "--json").json == {"reset": True, "kept": None}
    assert tunesmith("settings", "get", "offline").out == "false\n"


def test_the_environment_wins_and_that_is_said(tunesmith: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_HUB", "huggingface")
    ran = tunesmith("settings", "set", "hub", "modelscope")
    assert ran.code == 0 and "TUNESMITH_HUB is set, so hub is huggingface here" in ran.err
    assert tunesmith("settings", "get", "hub", "--json").json == {
        "key": "hub", "value": "huggingface", "by": "TUNESMITH_HUB"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("set", "theme", "pink"), "settings_value"),
        (("set", "colour", "red"), "unknown_setting"),
        (("get", "ofline"), "unknown_setting"),
        (("reset", "nothing"), "unknown_setting"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_a_way_out(words: tuple[str, ...], code: str, tunesmith: Any) -> None:
    ran = tunesmith("settings", *words, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, code)
    assert ran.json["error"]["hint"]


def test_a_newer_file_is_left_untouched_and_nothing_connects_meanwhile(tunesmith: Any, home: Home) -> None:
    home.root.mkdir(parents=True)
    newer = '{"format": "tunesmith-settings", "version": 7, "colour": "teal"}'
    home.settings.write_text(newer, "utf-8")
    ran = tunesmith("models", "search", "qwen", "--json")
    assert "makes no connection" in ran.err and ran.json["error"]["code"] == "offline"
    assert tunesmith("settings", "set", "theme", "dark", "--json").json["error"]["code"] == "settings_newer"
    assert home.settings.read_text("utf-8") == newer
    assert tunesmith("settings", "reset", "--json").json["kept"] == str(home.root / "settings-before.json")
