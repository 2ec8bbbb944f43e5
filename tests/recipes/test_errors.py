"""Errors say what happened, what to do next, and offer the nearest known name."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.errors import ErrorBody, RecipeError, TunesmithError, nearest


def test_an_error_crosses_the_socket_as_code_message_and_hint() -> None:
    body = RecipeError("rank is 0", "Give 1 to 1024.").body()
    assert msgspec.json.decode(msgspec.json.encode(body)) == {
        "code": "recipe",
        "message": "rank is 0",
        "hint": "Give 1 to 1024.",
    }


def test_a_code_of_its_own_replaces_the_code_of_the_class() -> None:
    assert RecipeError("x", code="worker_died").code == "worker_died"
    assert RecipeError("x").code == "recipe"


def test_every_error_class_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in TunesmithError.__subclasses__()]
    assert len(codes) >= 7
    assert len(set(codes)) == len(codes)
    assert "error" not in codes


def test_a_misspelt_name_gets_the_nearest_and_a_strange_one_gets_the_list() -> None:
    assert nearest("learning_rat", ["learning_rate", "epochs"]) == "Did you mean 'learning_rate'?"
    assert nearest("zzz", ["b", "a"]) == "Known: a, b."


def test_a_body_without_a_hint_is_still_a_body() -> None:
    assert msgspec.json.decode(b'{"code": "error", "message": "m"}', type=ErrorBody).hint == ""
