"""LMDeploy: model folders in a server of its own, `lmdeploy serve api_server`, which is installed beside us.

Taken as fact from LMDeploy's repository: the options from lmdeploy/cli/serve.py and utils.py; what it is asked and
answers from lmdeploy/serve/openai/chat_completions/serving.py, validation.py and logprobs.py: with `messages` empty it
takes `input_ids`, and `return_token_ids` gives `output_ids` back.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tunesmith.daemon.api.engines import is_python, python_of
from tunesmith.daemon.worker.engines import Form, Token
from tunesmith.daemon.worker.serve.folder_text import FolderText
from tunesmith.daemon.worker.serve.servers import (
    BASE,
    Asked,
    Command,
    Dialect,
    Heard,
    Start,
    cached_tokens,
    schema_format,
)
from tunesmith.daemon.worker.serve.servers.remote import card
from tunesmith.recipes.errors import MachineError

KEY = "lmdeploy"
ARGUMENTS = "TUNESMITH_ENGINE_ARGUMENTS"
# It takes its key on the command line alone, which everybody can read; a process's environment only its user can.
HIDDEN = (
    f"import json, os, runpy, sys; where, *sys.argv = json.loads(os.environ.pop({ARGUMENTS!r})); "
    "(runpy.run_path if os.sep in where else runpy.run_module)(where, run_name='__main__')"
)
HOTTEST = 2.0  # what it takes of a temperature


def start(given: Start) -> Command:
    """Raises MachineError when there is no Python to be found that runs it, OSError when it cannot be read."""
    python = python_of(given.program)
    if python is None:
        raise MachineError(
            f"No Python was found that runs {given.program}",
            "Give that instead: tunesmith settings set serve.lmdeploy /path/to/bin/python", "engine_missing",
        )  # fmt: skip
    where = KEY if is_python(given.program) else str(given.program)
    words = [
        "serve", "api_server", str(given.model), "--server-name", "127.0.0.1", "--server-port", str(given.port),
        "--model-name", BASE, "--api-keys", given.key, "--session-len", str(given.context),
        "--max-batch-size", str(given.slots), "--enable-prefix-caching", "--logprobs-mode", "raw_logprobs",
        "--disable-fastapi-docs",
    ]  # fmt: skip
    if given.share is not None:  # of what is free once the weights are loaded
        free = max(1, given.share.free - given.share.weights)
        words += ["--cache-max-entry-count", f"{min(0.9, max(0.01, given.share.cache / free)):.3f}"]
    if given.adapters:  # TurboMind, the engine that it takes by itself, has none
        words += ["--backend", "pytorch"]
        words += ["--adapters", *(f"{name}={path}" for name, path in given.adapters.items())]
    arguments = msgspec.json.encode([where, str(given.program), *words]).decode()
    return Command((str(python), "-c", HIDDEN), {ARGUMENTS: arguments})


def ask(asked: Asked) -> dict[str, Any]:
    """POST /v1/chat/completions with the tokens of our own rendering in the place of messages."""
    one = asked.prompt.sampling
    if one.temperature == 0:  # said so that no version divides by it
        one = msgspec.structs.replace(one, temperature=1.0, top_k=1, top_p=1.0, min_p=0.0)
    body: dict[str, Any] = {
        "model": asked.name, "messages": "", "input_ids": asked.prompt.ids, "max_completion_tokens": asked.most,
        "stream": True, "stream_options": {"include_usage": True}, "return_token_ids": True,
        "temperature": one.temperature, "top_p": one.top_p or 1e-9, "top_k": one.top_k, "min_p": one.min_p,
        "repetition_penalty": 1.0, "skip_special_tokens": False, **(asked.prompt.held or {}),
    }  # fmt: skip
    if one.seed is not None:
        body["seed"] = one.seed
    if asked.top is not None:
        body["logprobs"] = True
        if asked.top:
            body["top_logprobs"] = asked.top
    return body


def hear(event: dict[str, Any], asked: Asked, before: int, text: FolderText) -> Heard:
    """Logprobs name tokens as the vocabulary has them; the drawn ones are known by their numbers."""
    cached = cached_tokens(event)
    if not event["choices"]:
        return Heard(cached=cached)
    choice = event["choices"][0]
    ids, finish = choice.get("output_ids") or [], choice.get("finish_reason") or ""
    said = (choice.get("logprobs") or {}).get("content") if asked.top is not None else None
    if not said:
        return Heard(tuple(map(Token, ids)), cached=cached, finish=finish)
    tokens = tuple(
        Token(id, one["logprob"], top_of(one["top_logprobs"], asked.top or 0, text))
        for id, one in zip(ids, said, strict=True)
    )
    return Heard(tokens, cached=cached, finish=finish)


def top_of(said: list[dict[str, Any]], most: int, text: FolderText) -> tuple[tuple[int, float], ...]:
    ordered = sorted(said, key=lambda one: -one["logprob"])[:most]
    ids = text.ids_of(one["token"] for one in ordered)
    return tuple((id, one["logprob"]) for id, one in zip(ids, ordered, strict=True) if id is not None)


def held(form: Form) -> dict[str, Any] | None:
    """It takes a schema, and nothing around it."""
    if form.before or form.after:
        return None
    return schema_format(form)


def refuse(asked: Asked) -> str:
    one = asked.prompt.sampling
    if one.presence_penalty or one.frequency_penalty:
        return "has no presence_penalty and no frequency_penalty"
    if one.temperature > HOTTEST:
        return f"takes a temperature of {HOTTEST:g} at most"
    if asked.scored:
        return "does not tell how likely a prompt was"
    return ""


DIALECT = Dialect(KEY, start, "/v1/chat/completions", ask, hear, held, refuse)
CARD = card(DIALECT)
