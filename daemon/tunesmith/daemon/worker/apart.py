"""An exported folder computed by transformers where only its tool's environment can load it; knows nothing of ours.

`python apart.py <folder>`: answers requests, a line of JSON each, with a line of JSON. `{"logits": [ids], "into":
path}` writes what numpy reads; `{"answer": [ids], "most": n, "pad": id, "end": id or ids}` gives `{"written": [ids]}`.
First comes `{"end": id or ids}`, what ends an answer by the folder's own settings, or `{"refused": why}`, and it ends.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

KERNEL = "gptq_torch"  # the plain one: others compute in integers, or want a compiler


def main(arguments: list[str]) -> int:
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)  # what libraries print is the log's
        try:
            model = loaded(Path(arguments[0]))
        except Exception as error:
            reply(replies, {"refused": next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]})
            raise
        reply(replies, {"end": model.generation_config.eos_token_id})
        for line in sys.stdin:
            reply(replies, answered(model, json.loads(line)))
    return 0


def reply(replies: IO[str], answer: dict[str, Any]) -> None:
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


def loaded(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GPTQConfig

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads()))
    kept = json.loads((folder / "config.json").read_text("utf-8"))["quantization_config"]
    model, info = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=torch.float32, device_map={"": "cpu"}, local_files_only=True, trust_remote_code=False,
        use_safetensors=True, output_loading_info=True,
        quantization_config=GPTQConfig(bits=kept["bits"], backend=KERNEL),
    )  # fmt: skip
    if lacking := sorted(str(name) for key in ("missing_keys", "mismatched_keys") for name in info.get(key) or ()):
        raise ValueError(f"its files lack {lacking[0]}")
    return model.eval()


def answered(model: Any, request: dict[str, Any]) -> dict[str, Any]:
    import numpy as np
    import torch
    from transformers import GenerationConfig

    given = torch.tensor([request.get("logits") or request["answer"]])
    with torch.inference_mode():
        if "logits" in request:
            np.save(request["into"], model(input_ids=given).logits[0].float().numpy())
            return {"into": request["into"]}
        settings = GenerationConfig(
            do_sample=False, max_new_tokens=request["most"], pad_token_id=request["pad"], eos_token_id=request["end"]
        )
        output = model.generate(input_ids=given, attention_mask=torch.ones_like(given), generation_config=settings)
    return {"written": output[0, given.shape[1] :].tolist()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
