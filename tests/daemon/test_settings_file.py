"""The settings' file: strict, whole or not at all, a newer one left untouched; and the environment wins over it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.daemon.api import settings
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.offline import is_offline
from tunesmith.daemon.api.settings import InForce, Settings, SettingsError
from tunesmith.recipes.models import source

LANGUAGES = ("en", "zh")


def home(tmp_path: Path, text: str | None = None) -> Home:
    found = Home(tmp_path / "home")
    if text is not None:
        found.root.mkdir()
        found.settings.write_text(text, "utf-8")
    return found


def test_without_a_file_all_is_by_default(tmp_path: Path) -> None:
    assert settings.read(home(tmp_path)) == Settings()
    assert not home(tmp_path).root.exists()


def test_what_is_changed_is_read_again_and_says_what_it_is(tmp_path: Path) -> None:
    here = home(tmp_path)
    for key, value in (("language", "zh"), ("theme", "contrast"), ("hub", "huggingface"), ("offline", "YES")):
        settings.change(here, key, value, LANGUAGES)
    assert settings.read(here) == Settings(language="zh", theme="contrast", hub="huggingface", offline=True)
    written = json.loads(here.settings.read_text("utf-8"))
    assert (written["format"], written["version"]) == ("tunesmith-settings", 1)
    assert [path.name for path in here.root.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    ("key", "value"), [("theme", "pink"), ("hub", "elsewhere"), ("offline", "perhaps"), ("language", "xx"), ("x", "y")]
)
def test_what_cannot_be_is_refused_with_what_can(tmp_path: Path, key: str, value: str) -> None:
    here = home(tmp_path)
    with pytest.raises(SettingsError) as refused:
        settings.change(here, key, value, LANGUAGES)
    assert refused.value.hint
    assert not here.settings.exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"format": "tunesmith-settings", "version": 2, "theme": "sepia"}', "settings_newer"),
        ('{"format": "tunesmith-settings", "version": 1, "colour": "red"}', "settings_damaged"),
        ('{"format": "tunesmith-settings", "version": 1, "theme": "sepia"}', "settings_damaged"),
        ('{"format": "tunesmith-settings", "version": 1, "offline": "yes"}', "settings_damaged"),
        ('{"format": "another", "version": 1}', "settings_damaged"),
        ('{"version": 1}', "settings_damaged"),
        ('{"format": "tunesmith-settings"}', "settings_damaged"),
        ("[]", "settings_damaged"),
        ('{"format": "tunes', "settings_damaged"),
        ("", "settings_damaged"),
    ],
)
def test_what_is_not_understood_is_refused_and_left_as_it_is(tmp_path: Path, text: str, code: str) -> None:
    here = home(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        settings.read(here)
    assert refused.value.code == code and "settings reset" in refused.value.hint
    with pytest.raises(SettingsError):
        settings.change(here, "theme", "dark", LANGUAGES)
    assert here.settings.read_text("utf-8") == text


def test_of_a_file_that_may_forbid_connections_it_is_taken_that_it_does(tmp_path: Path) -> None:
    found, error = settings.usable(home(tmp_path, '{"format": "tunesmith-settings", "version": 9}'))
    assert found.offline and error is not None


def test_a_reset_keeps_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    here = home(tmp_path, "not ours")
    kept = settings.reset(here)
    assert kept is not None and kept.read_text("utf-8") == "not ours" and settings.read(here) == Settings()
    settings.change(here, "hub", "huggingface", LANGUAGES)
    assert settings.reset(here) is None and not here.settings.exists()


def test_the_environment_wins_and_is_named() -> None:
    found = settings.in_force(Settings(hub="huggingface", offline=True), {"TUNESMITH_OFFLINE": "0"})
    assert found["offline"] == InForce("false", "TUNESMITH_OFFLINE") and found["offline"].by_environment
    assert found["hub"] == InForce("huggingface", "file")
    assert found["theme"] == InForce("auto", "default") and not found["theme"].by_environment
    assert settings.in_force(Settings(), {"HF_HUB_OFFLINE": "1"})["offline"] == InForce("true", "HF_HUB_OFFLINE")
    assert settings.in_force(Settings(), {"TUNESMITH_THEME": "sepia"})["theme"].by == "default"


def test_what_is_settled_counts_for_what_this_program_starts_until_it_is_settled_otherwise() -> None:
    environment = {"PATH": "/bin"}
    settings.settle(Settings(hub="huggingface", offline=True), environment)
    assert is_offline(environment) and source.preferred(environment) == "huggingface"
    assert settings.in_force(Settings(offline=True), environment)["offline"].by == "file"
    settings.settle(Settings(), environment)
    assert environment == {"PATH": "/bin"}


def test_what_a_person_set_is_never_taken_away() -> None:
    environment = {"TUNESMITH_OFFLINE": "0", source.VARIABLE: "modelscope"}
    settings.settle(Settings(hub="huggingface", offline=True), environment)
    assert environment == {"TUNESMITH_OFFLINE": "0", source.VARIABLE: "modelscope"}


def test_a_daemon_outlives_a_change_of_mind_and_is_started_without_what_is_settled() -> None:
    environment = {"HOME": "/home/ada"}
    settings.settle(Settings(offline=True), environment)
    assert settings.of_the_person(environment) == {"HOME": "/home/ada"}
