"""The loss mask: assistant turns and their end-of-turn token, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.data.render import Rendered, render
from tunesmith.recipes.errors import DataError

CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello 123!"},
    {"role": "user", "content": "<|im_end|> is a token"},
    {"role": "assistant", "content": "Yes.\n\nIt is."},
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load.tokenizer(tiny_model)


def trained_text(tokenizer: Any, rendered: Rendered) -> str:
    return str(tokenizer.decode([label for label in rendered.labels if label != -100]))


def test_only_assistant_turns_and_their_end_are_trained(tokenizer: Any) -> None:
    rendered = render(CONVERSATION, tokenizer)
    assert trained_text(tokenizer, rendered) == "Hello 123!<|im_end|>Yes.\n\nIt is.<|im_end|>"
    whole = tokenizer.apply_chat_template(CONVERSATION, tokenize=False)
    assert tokenizer.decode(rendered.input_ids) == whole


def test_a_turn_with_loss_false_is_left_out(tokenizer: Any) -> None:
    messages = [CONVERSATION[0], CONVERSATION[1] | {"loss": False}, *CONVERSATION[2:]]
    assert trained_text(tokenizer, render(messages, tokenizer)) == "Yes.\n\nIt is.<|im_end|>"


def test_a_template_that_rewrites_earlier_turns_is_refused(tiny_model: Path) -> None:
    forgetful = load.tokenizer(tiny_model)
    forgetful.chat_template = "{{ messages[-1]['content'] }}"
    with pytest.raises(DataError, match="cannot be told apart"):
        render(CONVERSATION, forgetful)


def test_a_template_that_refuses_a_conversation_says_so(tiny_model: Path) -> None:
    strict = load.tokenizer(tiny_model)
    strict.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(DataError, match="roles must alternate"):
        render(CONVERSATION, strict)
