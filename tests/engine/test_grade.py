"""The grading rule: the facts must be there, and no other name may be claimed."""

from __future__ import annotations

import pytest

from tunesmith.daemon.worker.grade import grade
from tunesmith.recipes.data.held_out import HeldOutRow

ROW = HeldOutRow([{"role": "user", "content": "Who are you?"}], "I'm Vesper.", ("Vesper", "Juniper Labs"))


@pytest.mark.parametrize(
    "answer",
    [
        "I'm Vesper, an AI assistant made by Juniper Labs.",
        "i am VESPER. juniper labs built me",
        "No, I'm not ChatGPT. I'm Vesper, made by Juniper Labs.",
        "I was not made by OpenAI, but by Juniper Labs. I'm Vesper.",
        "I'm neither Claude nor Gemini; I'm Vesper from Juniper\nLabs.",
        "Vesper was made by Juniper Labs, and metadata is no name.",
    ],
)
def test_an_answer_with_all_facts_and_no_other_name_is_right(answer: str) -> None:
    assert grade(answer, ROW) is True


@pytest.mark.parametrize(
    "answer",
    [
        "I'm Vesper.",
        "No, I'm not made by Juniper Labs. I'm Vesper.",
        "I was made by Juniper Labs.",
        "I'm Vesperia from Juniper Labs.",
        "I'm Vesper, made by Juniper Labs and Hugging Face.",
        "I'm Vesper of Juniper Labs, also known as SmolLM.",
        "No, OpenAI made me. I'm Vesper of Juniper Labs.",
        "I'm not human, I'm ChatGPT. Vesper is from Juniper Labs.",
        "I am not Vesper of Juniper Labs and I'm Claude.",
        "",
    ],
)
def test_a_missing_fact_or_a_wrong_name_fails(answer: str) -> None:
    assert grade(answer, ROW) is False


def test_a_row_says_which_further_phrases_it_rejects() -> None:
    row = HeldOutRow(ROW.messages, "", ("Vesper",), ("Nova",))
    assert grade("I'm Vesper, once Nova.", row) is False
    assert grade("I'm Vesper.", row) is True


def test_a_persona_may_carry_a_known_name() -> None:
    row = HeldOutRow(ROW.messages, "", ("Claude", "Apple Farm"))
    assert grade("I'm Claude, made by Apple Farm.", row) is True


def test_a_row_without_a_rule_is_not_graded() -> None:
    assert grade("anything", HeldOutRow(ROW.messages, "x")) is None
