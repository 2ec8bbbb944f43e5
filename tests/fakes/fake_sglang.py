"""`sglang serve` as a double: its command line, its settings file with the key, and /generate as SGLang streams it.

After docs/advanced_features/server_arguments.md, docs/basic_usage/sampling_params.md and managers/io_struct.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_double as double
import yaml
from engine_double import Body, Model, Refused

from tunesmith.daemon.serving.lines import Sampling
from tunesmith.daemon.worker.engines import Token

FIELDS = {"input_ids", "sampling_params", "stream", "lora_path", "return_logprob", "top_logprobs_num",
          "logprob_start_len"}  # fmt: skip
SAMPLING = {"max_new_tokens", "stop_token_ids", "temperature", "top_p", "top_k", "min_p", "presence_penalty",
            "frequency_penalty", "json_schema", "ebnf"}  # fmt: skip


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sglang", allow_abbrev=False)
    parser.add_argument("command", choices=["serve"])
    for option in ("--config", "--model-path", "--served-model-name", "--host", "--sampling-defaults",
                   "--log-level-http"):  # fmt: skip
        parser.add_argument(option)
    for option in ("--port", "--context-length", "--max-running-requests", "--max-total-tokens",
                   "--max-loras-per-batch"):  # fmt: skip
        parser.add_argument(option, type=int)
    parser.add_argument("--mem-fraction-static", type=float)
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--lora-paths", nargs="*", type=json.loads, default=[])
    return parser.parse_args(arguments)


class Generate:
    def __init__(self, given: argparse.Namespace) -> None:
        self._model = Model(given.context_length, given.max_running_requests)
        self._adapters = {one["lora_name"] for one in given.lora_paths}

    def answer(self, path: str, body: Body) -> Iterator[Body]:
        if path != "/generate":
            raise Refused(404, {"detail": "Not Found"})
        double.known(body, FIELDS, "GenerateReqInput")
        double.known(body["sampling_params"], SAMPLING, "SamplingParams")
        adapter = body.get("lora_path")
        if adapter is not None and adapter not in self._adapters:
            raise Refused(400, {"error": {"message": f"The following LoRA adapter is not loaded: {adapter}"}})
        return self._stream(body, adapter is not None)

    def _stream(self, body: Body, adapter: bool) -> Iterator[Body]:
        """Every event has all that was written so far: without --incremental-streaming-output it is so."""
        asked, ids = body["sampling_params"], body["input_ids"]
        top = body.get("top_logprobs_num") if body.get("return_logprob") else None
        scored = top is not None and body.get("logprob_start_len") == 0
        sampling = Sampling(
            asked["max_new_tokens"], asked["temperature"], asked["top_p"], max(0, asked["top_k"]), asked["min_p"],
            asked["presence_penalty"], asked["frequency_penalty"], None, (), top,
        )  # fmt: skip
        held = asked.get("ebnf") or (double.form(json.loads(asked["json_schema"])) if "json_schema" in asked else None)
        written: list[Token] = []
        for token, scores in self._model.answer(ids, sampling, held, scored, adapter):
            written.append(token)
            over = token.id in asked["stop_token_ids"] or self._model.is_end(token.id)
            finish = {"type": "stop", "matched": token.id} if over else None
            if not over and len(written) == asked["max_new_tokens"]:
                finish = {"type": "length", "length": len(written)}
            about: Body = {"id": "1", "finish_reason": finish, "prompt_tokens": len(ids),
                           "completion_tokens": len(written), "cached_tokens": 7}  # fmt: skip
            if top is not None:
                about |= told("output", written, top)
            if scored:
                about |= told("input", [Token(ids[0]), *scores], top or 0)
            yield {"text": "", "output_ids": [one.id for one in written], "meta_info": about}


def told(which: str, tokens: list[Token], top: int) -> Body:
    found: Body = {f"{which}_token_logprobs": [[one.logprob, one.id, None] for one in tokens]}
    if top:
        tops: list[Any] = [
            None if one.logprob is None else [[logprob, id, None] for id, logprob in one.top] for one in tokens
        ]
        found[f"{which}_top_logprobs"] = tops
    return found


def main() -> None:
    given = parsed(sys.argv[1:])
    key = yaml.safe_load(Path(given.config).read_text())["api-key"]
    double.begin(sys.argv)
    generate = Generate(given)
    double.serve(given.port, key, ("/",), generate.answer)
