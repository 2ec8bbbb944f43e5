"""What runs in a tool's own environment: `python inside.py REQUEST` takes a suite and leaves the tool's results.

Nothing of ours can be imported here. The key of the server is in the environment, where no other user can read it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

RESULT = "result.json"
KEY = "OPENAI_API_KEY"  # lm-eval reads it there by itself
ANSWER_S = 900  # for one: on a slow machine eight long ones are written at once
TRIES = 4


def main(request: Path) -> None:
    asked = json.loads(request.read_text("utf-8"))
    if asked["offline"]:
        refuse_network()
    found = {"lm-eval": lm_eval, "evalscope": evalscope}[asked["tool"]](asked)
    staged = request.with_name(f"{RESULT}.new")
    staged.write_text(json.dumps(found, default=str), "utf-8")
    staged.replace(request.with_name(RESULT))


def refuse_network() -> None:
    """No name is looked up, so nothing but this machine is reached; libraries say then that they are offline."""
    look_up = socket.getaddrinfo

    def local_only(host: Any, *more: Any, **other: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", "::1", None):
            raise socket.gaierror(socket.EAI_AGAIN, f"it is offline: {host} is not asked")
        return look_up(host, *more, **other)

    socket.getaddrinfo = local_only


def lm_eval(asked: dict[str, Any]) -> dict[str, Any]:
    """Its results, and each question with its answers as `samples.jsonl` where that is asked for."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.INFO)
    chat = asked["endpoint"] == "chat"
    server = {
        "model": asked["model"],
        "base_url": f"{asked['url']}/{'chat/completions' if chat else 'completions'}",
        "num_concurrent": asked["at_once"],
        "timeout": ANSWER_S,
        "max_retries": TRIES,
        "max_length": asked["context"],
    }
    if not chat:  # likelihoods need to know which tokens are whose
        server |= {"tokenizer_backend": "huggingface", "tokenizer": asked["tokenizer"]}
    found = simple_evaluate(
        model="local-chat-completions" if chat else "local-completions",
        model_args=server,
        tasks=[asked["file"] or asked["name"]],
        task_manager=TaskManager(),
        limit=asked["limit"],
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
        log_samples=True,
        confirm_run_unsafe_code=bool(asked["own_code"]),
    )
    samples = found.pop("samples")
    with Path(asked["folder"], "samples.jsonl").open("w", encoding="utf-8") as file:
        for task, rows in samples.items():
            file.writelines(json.dumps({"task": task, **row}, default=str) + "\n" for row in rows)
    kept = ("results", "groups", "group_subtasks", "n-samples", "versions", "higher_is_better")
    return {key: found[key] for key in kept if key in found}


def evalscope(asked: dict[str, Any]) -> dict[str, Any]:
    from evalscope import TaskConfig, run_task

    for name in ("httpx", "httpx2", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a line for every question
    run_task(
        TaskConfig(
            model=asked["model"],
            model_id="model",
            eval_type="openai_api",
            api_url=asked["url"],
            api_key=os.environ[KEY],
            datasets=[asked["name"]],
            dataset_args={asked["name"]: asked["arguments"]},
            limit=asked["limit"],
            eval_batch_size=asked["at_once"],
            generation_config={"temperature": 0.0, "timeout": ANSWER_S, "retries": TRIES, "retry_interval": 2},
            work_dir=asked["folder"],
            no_timestamp=True,
        )
    )
    report: dict[str, Any] = json.loads(Path(asked["folder"], "reports", "model", f"{asked['name']}.json").read_bytes())
    return report


if __name__ == "__main__":
    main(Path(sys.argv[1]))
