"""`lmdeploy serve api_server` as a double: its command line, and /v1/chat/completions with input_ids, as it streams it.

After lmdeploy/cli/serve.py and utils.py, and lmdeploy/serve/openai/chat_completions/serving.py, validation.py and
logprobs.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import engine_double as double
from engine_double import Body, Model, Refused

from tunesmith.daemon.serving.lines import Sampling
from tunesmith.daemon.worker.engines import Token

FIELDS = {
    "model", "messages", "input_ids", "max_completion_tokens", "stream", "stream_options", "return_token_ids",
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "skip_special_tokens", "seed", "logprobs",
    "top_logprobs", "response_format",
}  # fmt: skip


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lmdeploy", allow_abbrev=False)
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("what", choices=["api_server"])
    parser.add_argument("model_path")
    for option in ("--server-name", "--model-name", "--logprobs-mode", "--backend"):
        parser.add_argument(option)
    for option in ("--server-port", "--session-len", "--max-batch-size"):
        parser.add_argument(option, type=int)
    parser.add_argument("--cache-max-entry-count", type=float)
    for flag in ("--enable-prefix-caching", "--disable-fastapi-docs"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--api-keys", nargs="*")
    parser.add_argument("--adapters", nargs="*", default=[])
    return parser.parse_args(arguments)


class Chat:
    def __init__(self, given: argparse.Namespace) -> None:
        self._model = Model(given.session_len, given.max_batch_size)
        self._logprobs = given.logprobs_mode is not None
        self._names = {given.model_name: False} | {pair.partition("=")[0]: True for pair in given.adapters}

    def answer(self, path: str, body: Body) -> Iterator[Body]:
        if path != "/v1/chat/completions":
            raise Refused(404, {"detail": "Not Found"})
        double.known(body, FIELDS, "ChatCompletionRequest")
        if body["model"] not in self._names:
            raise Refused(404, {"object": "error", "message": f"The model {body['model']!r} does not exist."})
        if why := self._wrong(body):
            raise Refused(400, {"object": "error", "message": why})
        return self._stream(body)

    def _wrong(self, body: Body) -> str:
        if body["messages"]:
            return "input_ids cannot be used when messages is non-empty. messages takes priority."
        if body.get("logprobs") and not self._logprobs:
            return "Logprobs requested but not enabled logprobs_mode in engine configuration"
        if not 0 < body["top_p"] <= 1:
            return f"The top_p {body['top_p']} must be in (0, 1]."
        return "" if 0 <= body["temperature"] <= 2 else f"The temperature {body['temperature']} must be in [0, 2]"

    def _stream(self, body: Body) -> Iterator[Body]:
        """A token that ends the answer is never among the output_ids."""
        top = (body.get("top_logprobs") or 1) if body.get("logprobs") else None
        sampling = Sampling(
            body["max_completion_tokens"], body["temperature"], body["top_p"], body["top_k"], body["min_p"],
            seed=body.get("seed"), logprobs=top,
        )  # fmt: skip
        shape = body.get("response_format")
        held = None if shape is None else double.form(shape["json_schema"]["schema"])
        count, ids = 0, body["input_ids"]
        for token, _ in self._model.answer(ids, sampling, held, False, self._names[body["model"]]):
            over = self._model.is_end(token.id)
            count += not over
            finish = "stop" if over else "length" if count == body["max_completion_tokens"] else None
            choice: Body = {"index": 0, "delta": {"role": "assistant", "content": ""}, "output_ids": []}
            if not over:
                choice["output_ids"] = [token.id]
                if top is not None:
                    choice["logprobs"] = {"content": [self._scored(token)]}
            if finish:
                choice["finish_reason"] = finish
            yield {"id": "1", "created": 1, "model": "m", "choices": [choice], "usage": None}
        usage = {"prompt_tokens": len(ids), "completion_tokens": count, "total_tokens": len(ids) + count,
                 "prompt_tokens_details": {"cached_tokens": 7}}  # fmt: skip
        yield {"id": "1", "created": 1, "model": "m", "choices": [], "usage": usage}

    def _scored(self, token: Token) -> Body:
        tops = [{"token": self._model.piece(id), "bytes": [], "logprob": logprob} for id, logprob in token.top]
        return {"token": self._model.piece(token.id), "bytes": [], "logprob": token.logprob, "top_logprobs": tops}


def main() -> None:
    given = parsed(sys.argv[1:])
    double.begin(sys.argv)
    chat = Chat(given)
    (key,) = given.api_keys
    double.serve(given.server_port, key, ("/v1",), chat.answer)
