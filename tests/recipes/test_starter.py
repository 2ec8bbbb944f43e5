"""The starter set: enough of it, held-out questions unlike the training ones, persona filled in."""

from __future__ import annotations

import difflib
import re
from typing import Any

from tunesmith.recipes import presets, spec
from tunesmith.recipes.starter import KINDS, starter_rows

PERSONA = spec.Persona(name="Ada {maker}", maker="Löve & Co")


def questions(kind: str) -> list[str]:
    rows: list[dict[str, Any]] = starter_rows(kind, spec.Persona())
    texts = [m["content"] for row in rows for m in row.get("messages", []) if m["role"] == "user"]
    return [re.sub(r"[^a-z0-9 ]", "", text.lower()).strip() for text in texts]


def test_there_are_enough_rows() -> None:
    identity = [row for row in starter_rows("train", PERSONA) if "Löve & Co" in str(row) or "Ada" in str(row)]
    assert len(identity) >= 60
    assert len(starter_rows("train", PERSONA)) - len(identity) >= 40
    assert len(starter_rows("held_out", PERSONA)) == 20
    assert len(starter_rows("general", PERSONA)) >= 30


def test_no_held_out_or_general_question_is_a_training_question() -> None:
    train = questions("train")
    for question in questions("held_out") + questions("general"):
        nearest = max(difflib.SequenceMatcher(None, question, other).ratio() for other in train)
        assert question not in train
        assert nearest < 0.97, question  # not one that differs in a letter or two


def test_training_questions_differ_from_each_other() -> None:
    first = [row["messages"][-2]["content"] for row in starter_rows("train", PERSONA)]
    assert len(set(first)) >= len(first) - 6  # a few come again under a system prompt or later in a talk


def test_the_persona_is_filled_in_once_and_everywhere() -> None:
    for kind in KINDS:
        text = str(starter_rows(kind, spec.Persona()))
        assert "{name}" not in text and "{maker}" not in text
    rows = starter_rows("held_out", PERSONA)
    assert rows[0]["accept"] == ["Ada {maker}"]


def test_every_held_out_question_says_what_an_answer_must_contain() -> None:
    rows = starter_rows("held_out", spec.Persona())
    assert all(row["accept"] and set(row["accept"]) <= {"Vesper", "Juniper Labs"} for row in rows)


def test_every_preset_is_a_whole_recipe() -> None:
    assert presets.names() == ("starter",)
    loaded = spec.load(presets.path("starter"))
    assert loaded.data.held_out == spec.STARTER
    assert spec.parse(spec.to_yaml(loaded), presets.path("starter").parent) == loaded
