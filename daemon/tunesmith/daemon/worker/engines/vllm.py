"""vLLM: model folders in a server of its own, `vllm serve`, which is installed beside us.

Taken as fact from vLLM's repository: the options from vllm/entrypoints/openai/cli_args.py, vllm/engine/arg_utils.py
and docs/features/lora.md; what it is asked and answers from vllm/entrypoints/openai/completion/protocol.py and
serving.py; variables from vllm/envs.py.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tunesmith.daemon.api.engines import is_python
from tunesmith.daemon.worker.engines import Form, Token
from tunesmith.daemon.worker.serve import grammar
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
from tunesmith.recipes.errors import ModelError

KEY = "vllm"
MODULE = "vllm.entrypoints.cli.main"  # what the command `vllm` runs
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # LoRAConfig takes no other max_lora_rank
TOP = 20  # of the likeliest: as many as we are asked for
TOKEN = "token_id:"  # how it writes a token that it is asked to name by its number


def start(given: Start) -> Command:
    """On a Unix socket: its key keeps only some of its routes, /invocations for one is open to whoever connects."""
    words = [
        *((str(given.program), "-m", MODULE) if is_python(given.program) else (str(given.program),)),
        "serve", str(given.model), "--served-model-name", BASE, "--uds", str(given.socket),
        "--max-model-len", str(given.context), "--max-num-seqs", str(given.slots), "--max-logprobs", str(TOP),
        "--generation-config", "vllm", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log",
    ]  # fmt: skip
    environment = {"VLLM_API_KEY": given.key, "VLLM_NO_USAGE_STATS": "1"}
    if given.share is not None:
        taken = given.share.weights + given.share.cache + given.share.rest
        words += ["--gpu-memory-utilization", f"{math.ceil(1000 * taken / given.share.whole) / 1000:.3f}"]
    else:
        environment["VLLM_CPU_KVCACHE_SPACE"] = str(max(1, math.ceil(given.cache_bytes / 2**30)))  # whole GiB
    if given.adapters:
        words += ["--enable-lora", "--max-loras", str(len(given.adapters)), "--max-lora-rank", str(rank(given.rank))]
        modules = [{"name": name, "path": str(path)} for name, path in given.adapters.items()]
        words += ["--lora-modules", *(msgspec.json.encode(one).decode() for one in modules)]
    return Command(tuple(words), environment)


def rank(needed: int) -> int:
    """The smallest that it takes. Raises ModelError."""
    found = next((one for one in RANKS if one >= needed), None)
    if found is None:
        raise ModelError(
            f"vLLM takes adapters of rank {RANKS[-1]} at most, and this one has {needed}",
            "Merge it first: tunesmith merge.", "adapter_kind",
        )  # fmt: skip
    return found


def ask(asked: Asked) -> dict[str, Any]:
    """POST /v1/completions; every default that a model's own settings could change is said."""
    one = asked.prompt.sampling
    body: dict[str, Any] = {
        "model": asked.name, "prompt": asked.prompt.ids, "max_tokens": asked.most, "stream": True,
        "stream_options": {"include_usage": True}, "return_token_ids": True, "stop_token_ids": list(asked.ends),
        "temperature": one.temperature, "top_p": one.top_p or 1e-9, "top_k": one.top_k, "min_p": one.min_p,
        "repetition_penalty": 1.0, "presence_penalty": one.presence_penalty,
        "frequency_penalty": one.frequency_penalty, **(asked.prompt.held or {}),
    }  # fmt: skip
    if one.seed is not None:
        body["seed"] = one.seed
    if asked.top is not None:
        body |= {"logprobs": asked.top, "return_tokens_as_token_ids": True}
    if asked.scored:
        body["echo"] = True
    return body


def hear(event: dict[str, Any], asked: Asked, before: int, text: FolderText) -> Heard:
    """With `echo` the logprobs of the first event that has any begin with those of the prompt."""
    cached = cached_tokens(event)
    if not event["choices"]:
        return Heard(cached=cached)
    choice = event["choices"][0]
    ids, finish = choice.get("token_ids") or [], choice.get("finish_reason") or ""
    if asked.top is None or not (said := choice.get("logprobs")):
        return Heard(tuple(map(Token, ids)), cached=cached, finish=finish)
    scored = [
        Token(number(token), logprob, top_of(said["top_logprobs"][place], asked.top))
        for place, (token, logprob) in enumerate(zip(said["tokens"], said["token_logprobs"], strict=True))
    ]
    own = len(scored) - len(ids)
    return Heard(tuple(scored[own:]), tuple(scored[1:own]), cached, finish)


def number(token: str) -> int:
    return int(token.removeprefix(TOKEN))


def top_of(said: dict[str, float] | None, most: int) -> tuple[tuple[int, float], ...]:
    """The likeliest first; what was drawn is among them however unlikely it was."""
    ordered = sorted((said or {}).items(), key=lambda pair: -pair[1])
    return tuple((number(token), logprob) for token, logprob in ordered[:most])


def held(form: Form) -> dict[str, Any]:
    if form.before or form.after:
        return {"structured_outputs": {"grammar": grammar.of(form)}}
    return schema_format(form)


DIALECT = Dialect(KEY, start, "/v1/completions", ask, hear, held, lambda asked: "", by_socket=True)
CARD = card(DIALECT)
