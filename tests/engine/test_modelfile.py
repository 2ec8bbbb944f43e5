"""The Ollama Modelfile: a chat template taken apart into a Go template that writes the same, or left to the GGUF."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_formats import FORMATS, Format

from tunesmith.daemon.worker import load, ollama
from tunesmith.recipes.errors import DataError

# Its own words stand where others have none (dates), or its system prompt is part of the first user message.
NOT_IN_PIECES = {"deepseek-r1-distill", "glm4", "qwen3"}


def renderer(form: Format) -> Callable[[ollama.Messages, bool], str]:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = json.dumps
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda _: "26 Jul 2026"}
    template = environment.from_string(form.template)

    def render(messages: ollama.Messages, prompt: bool) -> str:
        try:
            return template.render(
                messages=messages, add_generation_prompt=prompt, bos_token=form.bos, eos_token=form.eos, tools=None
            )
        except TemplateError as error:
            raise DataError(f"{error}", "Check the order of its roles.") from error

    return render


def executed(go: str, messages: ollama.Messages) -> str:
    """What Ollama's Go template writes: its few actions, read by a small machine of our own."""
    import re

    system = next((message["content"] for message in messages if message["role"] == "system"), "")

    def run(text: str, message: dict[str, str]) -> str:
        written, place, skipping, taken = "", 0, 0, []
        for action in re.finditer(r'\{\{ ("(?:[^"\\]|\\.)*"|[^}]*) \}\}', text):
            assert text[place : action.start()] == "", "nothing stands outside of the actions"
            place, what = action.end(), action.group(1)
            if what.startswith("if ") or what.startswith("else if "):
                holds = bool(system) if ".System" in what else message.get("role") == json.loads(what.split()[-1])
                if what.startswith("if "):
                    taken.append(holds)
                    skipping += not holds
                elif taken[-1]:
                    skipping += 1
                elif holds:
                    taken[-1], skipping = True, skipping - 1
            elif what == "else":
                skipping += 1 if taken[-1] else -1
            elif what == "end":
                taken.pop()
                skipping = 0
            elif not skipping:
                value = {".System": system, ".Content": message.get("content", "")}.get(what)
                written += json.loads(what) if value is None else value
        return written

    head, loop = go.split("{{ range .Messages }}")
    body, tail = loop.rsplit("{{ end }}", 1)
    return run(head, {}) + "".join(run(body, message) for message in messages) + run(tail, {})


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_go_template_writes_what_the_chat_template_does(form: Format) -> None:
    render = renderer(form)
    found = ollama.pieces(render, form.bos)
    if form.name in NOT_IN_PIECES and found is None:
        return
    assert found is not None
    several = ollama.said(("user", 'Hello, "x" {{ y }}'), ("assistant", "42 – naïve"), ("user", "And then?"))
    with_system = [*ollama.said(("system", "Be brief.")), *several]
    for messages in (several, several[:1], *([with_system] if found.system else [])):
        assert executed(found.go(), messages) == render(messages, True).removeprefix(form.bos)


def test_most_families_can_be_taken_apart() -> None:
    found = {form.name for form in FORMATS if ollama.pieces(renderer(form), form.bos) is not None}
    assert {"smollm2", "llama3", "qwen2.5", "gemma3", "mistral", "phi4"} <= found


def test_the_file_names_model_template_stops_and_parameters(tiny_model: Path, tmp_path: Path) -> None:
    text = ollama.modelfile("model-q8_0.gguf", load.tokenizer(tiny_model), tiny_model)
    lines = text.splitlines()
    assert lines[0] == "FROM ./model-q8_0.gguf"
    assert 'TEMPLATE """{{ if .System }}' in text and 'PARAMETER stop "<|im_end|>"' in lines
    assert "PARAMETER num_ctx 2048" in lines


def test_a_template_that_is_not_made_of_pieces_is_left_to_the_gguf(tiny_model: Path) -> None:
    tokenizer: Any = load.tokenizer(tiny_model)
    tokenizer.chat_template = "{{ messages | length }} messages{% for m in messages %}{{ m.content }}{% endfor %}"
    text = ollama.modelfile("model-f16.gguf", tokenizer, tiny_model)
    assert "TEMPLATE" not in text and text.startswith("FROM ./model-f16.gguf\n# The chat template")
