"""SGLang: model folders in a server of its own, `sglang serve`, which is installed beside us.

Taken as fact from SGLang's repository: the options from docs/advanced_features/server_arguments.md; what it is asked
and answers from docs/basic_usage/sampling_params.md, python/sglang/srt/managers/io_struct.py (GenerateReqInput) and
tokenizer_manager.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tunesmith.daemon.api.engines import is_python
from tunesmith.daemon.worker.engines import Form, Token
from tunesmith.daemon.worker.serve import grammar
from tunesmith.daemon.worker.serve.folder_text import FolderText
from tunesmith.daemon.worker.serve.servers import BASE, Asked, Command, Dialect, Heard, Start
from tunesmith.daemon.worker.serve.servers.remote import card

KEY = "sglang"
MODULE = "sglang.launch_server"
SPARE = 1.02  # pages of the pool are not divided
PAGE = 64  # tokens; a pool of exactly what conversations need leaves none for a page begun


def start(given: Start) -> Command:
    """The key stands in a file that only we can read: a command line can be read by everybody."""
    settings = given.private / "sglang.yaml"
    settings.touch(mode=0o600)
    settings.write_text(f"api-key: {given.key}\n", "utf-8")
    program = str(given.program)
    words = [
        *((program, "-m", MODULE) if is_python(given.program) else (program, "serve")),
        "--config", str(settings), "--model-path", str(given.model), "--served-model-name", BASE,
        "--host", "127.0.0.1", "--port", str(given.port), "--context-length", str(given.context),
        "--max-running-requests", str(given.slots), "--max-total-tokens", str(given.slots * (given.context + PAGE)),
        "--sampling-defaults", "openai", "--log-level-http", "warning",
    ]  # fmt: skip
    if given.share is not None:  # of what is free before it loads
        taken = SPARE * (given.share.weights + given.share.cache)
        words += ["--mem-fraction-static", f"{min(0.95, taken / given.share.free):.3f}"]
    if given.adapters:
        words += ["--enable-lora", "--max-loras-per-batch", str(len(given.adapters) + 1), "--lora-paths"]
        words += [
            msgspec.json.encode({"lora_name": name, "lora_path": str(path), "pinned": False}).decode()
            for name, path in given.adapters.items()
        ]
    return Command(tuple(words))


def ask(asked: Asked) -> dict[str, Any]:
    """POST /generate, its own interface: the one that takes tokens and gives them back."""
    one = asked.prompt.sampling
    body: dict[str, Any] = {
        "input_ids": asked.prompt.ids, "stream": True,
        "sampling_params": {
            "max_new_tokens": asked.most, "stop_token_ids": list(asked.ends), "temperature": one.temperature,
            "top_p": one.top_p or 1e-9, "top_k": one.top_k or -1, "min_p": one.min_p,
            "presence_penalty": one.presence_penalty, "frequency_penalty": one.frequency_penalty,
            **(asked.prompt.held or {}),
        },
    }  # fmt: skip
    if asked.name != BASE:
        body["lora_path"] = asked.name
    if asked.top is not None:
        body |= {"return_logprob": True, "top_logprobs_num": asked.top}
        if asked.scored:
            body["logprob_start_len"] = 0
    return body


def hear(event: dict[str, Any], asked: Asked, before: int, text: FolderText) -> Heard:
    """An event has all that was written so far, or in some versions what is new: more than that is all."""
    about = event["meta_info"]
    new = about["completion_tokens"] - before

    def latest(said: Sequence[Any]) -> Sequence[Any]:
        return said[before:] if len(said) > new else said

    ids = latest(event["output_ids"])
    finish = (about.get("finish_reason") or {}).get("type", "")
    if asked.top is None or not ids:
        return Heard(tuple(map(Token, ids)), (), about.get("cached_tokens"), finish)
    scores = scored(about, "input", asked.top, lambda said: said)[1:] if asked.scored and before == 0 else ()
    tokens = scored(about, "output", asked.top, latest)[: len(ids)]
    return Heard(tokens, scores, about.get("cached_tokens"), finish)


def scored(
    about: dict[str, Any], which: str, most: int, part: Callable[[Sequence[Any]], Sequence[Any]]
) -> tuple[Token, ...]:
    """Of triples (logprob, token, its text); for each the likeliest, where some were asked for."""
    said = part(about[f"{which}_token_logprobs"])
    tops = part(about[f"{which}_top_logprobs"]) if most else [()] * len(said)
    return tuple(
        Token(one[1], one[0], tuple((other[1], other[0]) for other in top or ()))
        for one, top in zip(said, tops, strict=True)
    )


def held(form: Form) -> dict[str, Any]:
    if form.before or form.after:
        return {"ebnf": grammar.of(form)}
    return {"json_schema": msgspec.json.encode(form.schema).decode()}


def refuse(asked: Asked) -> str:
    if asked.prompt.sampling.seed is not None and asked.prompt.sampling.temperature > 0:
        return "draws with no seed of a question's own"
    return ""


DIALECT = Dialect(KEY, start, "/generate", ask, hear, held, refuse)
CARD = card(DIALECT)
