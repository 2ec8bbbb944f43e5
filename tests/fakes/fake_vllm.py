"""`vllm serve` as a double: its command line, its key, and /v1/completions as vLLM streams it.

After vllm/entrypoints/openai/cli_args.py, vllm/engine/arg_utils.py, and openai/completion/protocol.py and serving.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import engine_double as double
from engine_double import Body, Model, Refused

from tunesmith.daemon.serving.lines import Sampling
from tunesmith.daemon.worker.engines import Token

FIELDS = {
    "model", "prompt", "max_tokens", "stream", "stream_options", "return_token_ids", "stop_token_ids", "temperature",
    "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed", "logprobs",
    "return_tokens_as_token_ids", "echo", "response_format", "structured_outputs",
}  # fmt: skip


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vllm", allow_abbrev=False)
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model_tag")
    parser.add_argument("--served-model-name")
    parser.add_argument("--uds")
    for option in ("--max-model-len", "--max-num-seqs", "--max-logprobs", "--max-loras"):
        parser.add_argument(option, type=int)
    parser.add_argument("--max-lora-rank", type=int, choices=[1, 8, 16, 32, 64, 128, 256, 320, 512])
    parser.add_argument("--gpu-memory-utilization", type=float)
    parser.add_argument("--generation-config")
    for flag in ("--enable-prompt-tokens-details", "--disable-uvicorn-access-log", "--enable-lora"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--lora-modules", nargs="*", type=json.loads, default=[])
    return parser.parse_args(arguments)


class Completions:
    def __init__(self, given: argparse.Namespace) -> None:
        self._model = Model(given.max_model_len, given.max_num_seqs)
        self._names = {given.served_model_name: False} | {one["name"]: True for one in given.lora_modules}

    def answer(self, path: str, body: Body) -> Iterator[Body]:
        if path != "/v1/completions":
            raise Refused(404, {"detail": "Not Found"})
        double.known(body, FIELDS, "CompletionRequest")
        if body["model"] not in self._names:
            raise Refused(404, {"error": {"message": f"The model `{body['model']}` does not exist.", "code": 404}})
        if body["top_p"] <= 0:
            raise Refused(400, {"error": {"message": "top_p must be in (0, 1]", "code": 400}})
        return self._stream(body)

    def _stream(self, body: Body) -> Iterator[Body]:
        top, echo = body.get("logprobs"), body.get("echo", False)
        sampling = Sampling(
            body["max_tokens"], body["temperature"], body["top_p"], body["top_k"], body["min_p"],
            body["presence_penalty"], body["frequency_penalty"], body.get("seed"), (), top,
        )  # fmt: skip
        held = (body.get("structured_outputs") or {}).get("grammar")
        if (shape := body.get("response_format")) is not None:
            held = double.form(shape["json_schema"]["schema"])
        count, echoed = 0, False
        ids: list[int] = body["prompt"]
        for token, scores in self._model.answer(ids, sampling, held, echo, self._names[body["model"]]):
            count += 1
            over = token.id in body["stop_token_ids"] or self._model.is_end(token.id)
            told = [Token(ids[0]), *scores] if echo and not echoed else []
            echoed = True
            shown = [] if over and double.ASKED.get("keeps_end") else [token]
            finish = "stop" if over else "length" if count == body["max_tokens"] else None
            choice: Body = {"index": 0, "text": "", "finish_reason": finish, "token_ids": [one.id for one in shown]}
            if top is not None:
                choice["logprobs"] = logprobs([*told, *shown])
            yield {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
        usage = {"prompt_tokens": len(ids), "completion_tokens": count, "total_tokens": len(ids) + count,
                 "prompt_tokens_details": {"cached_tokens": 7}}  # fmt: skip
        yield {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [], "usage": usage}


def logprobs(tokens: list[Token]) -> Body:
    """With return_tokens_as_token_ids; the one that was drawn is among the likeliest, one more if need be."""
    tops: list[Any] = []
    for one in tokens:
        named = {f"token_id:{one.id}": one.logprob} | {f"token_id:{id}": logprob for id, logprob in one.top}
        tops.append(None if one.logprob is None else named)
    return {
        "tokens": [f"token_id:{one.id}" for one in tokens],
        "token_logprobs": [one.logprob for one in tokens],
        "top_logprobs": tops,
        "text_offset": [0] * len(tokens),
    }


def main() -> None:
    given = parsed(sys.argv[1:])
    double.begin(sys.argv)
    completions = Completions(given)
    double.serve(given.uds, os.environ["VLLM_API_KEY"], ("/v1",), completions.answer)
