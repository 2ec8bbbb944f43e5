"""In the place of a benchmark's tool: `fake_suite_tool.py REQUEST` asks the server it is told, and leaves a result.

Questions are words; a model's toy engine says them back. With the limit 99 it fails as one without a network does.
Its figures are what the real tools told once: 1.0 of lm-eval, ROUGE-L 0.555 of EvalScope.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "recorded" / "suites"


def ask(asked: dict[str, str], **body: object) -> int:
    data = json.dumps({"model": asked["model"], **body}).encode()
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{asked['url']}/completions", data, headers)) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


request = Path(sys.argv[1])
asked = json.loads(request.read_text())
request.with_name("environment.json").write_text(json.dumps(dict(os.environ)))
if asked["limit"] == 99:
    print("requests.exceptions.ConnectionError: Max retries exceeded", file=sys.stderr)
    sys.exit(1)
for place in range(4):
    assert ask(asked, prompt=f"word {place}", max_tokens=1) == 200
    print(f"Requesting API:  25%|██▌   | {place + 1}/4 [00:01<00:02,  1.00it/s]", end="\r", file=sys.stderr)
assert ask(asked, prompt="word", colour="red") == 400
if asked["tool"] == "evalscope":
    result = json.loads((RECORDED / "evalscope-questions.json").read_text())
else:
    result = json.loads((RECORDED / "lm-eval.json").read_text())
    result["results"][asked["name"]] = result["results"].pop("choices")
request.with_name("result.json").write_text(json.dumps(result))
