"""Public benchmarks' tools against our own scores: the same rows, through our server, to the end.

Run: python bench/suites.py [MODEL.gguf --tokenizer FOLDER]. A line of JSON a figure, all out of 100: what the tool
says, what our own score says of the very answers that it got, and what our own way comes to from the start (the same
questions asked by ourselves, likelihoods by transformers alone). Likelihoods are asked of the model as a folder, in
float32: of 4-bit weights llama.cpp and transformers compute other last bits. lm-eval and EvalScope are installed first,
into a home of their own. Questions come one at a time, as a batch gives other last bits too. Bar: within one point;
EvalScope's ROUGE-L has none, as it counts case and full stops.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.daemon.api.find import ended, ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Serve
from tunesmith.daemon.worker import environments, starter
from tunesmith.daemon.worker.suites import inside, relay, results, run
from tunesmith.recipes import evals, suites
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.models.starter_file import starter_gguf

BAR = 1.0  # points of 100
CAPITALS = (
    "France Paris, Germany Berlin, Spain Madrid, Italy Rome, Japan Tokyo, China Beijing, Russia Moscow, Egypt Cairo, "
    "Greece Athens, Poland Warsaw, Austria Vienna, Hungary Budapest, Portugal Lisbon, Ireland Dublin, Norway Oslo, "
    "Sweden Stockholm, Finland Helsinki, Denmark Copenhagen, Belgium Brussels, Turkey Ankara, Iran Tehran, "
    "Iraq Baghdad, Peru Lima, Chile Santiago, Cuba Havana, Kenya Nairobi, Thailand Bangkok, Vietnam Hanoi, "
    "Australia Canberra, Canada Ottawa"
)
TASK = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {rows}}}
test_split: test
{how}
"""
WRITTEN = """output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: [], do_sample: false, max_gen_toks: 64}
metric_list:
  - {metric: exact_match, ignore_case: true, ignore_punctuation: true}"""
LETTER = '''import re

def choice(answer, row):
    """As EvalScope reads it: behind a mark, else the last capital letter."""
    marked = re.findall(r"ANSWER\\s*[:：]\\s*([A-D])\\b", answer, re.IGNORECASE)
    capitals = [letter for letter in answer if letter.isupper()]
    return row["answer"] == (marked or capitals or [""])[-1]
'''
CHOSEN = """output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: gold
metric_list:
  - metric: acc"""
Rows = list[dict[str, Any]]
ASKED = [{"role": "user", "content": "?"}]  # what was asked is of no matter to these scores


def questions() -> tuple[Rows, Rows]:
    """Thirty capitals and thirty sums: to be written, and to be chosen among four."""
    pairs = [pair.split() for pair in CAPITALS.split(", ")]
    asked = [(f"What is the capital of {land}?", f"The capital of {land} is {city}.", city) for land, city in pairs]
    asked += [(f"What is {a} + {b}?", f"{a} + {b} = {a + b}", str(a + b)) for a in range(1, 6) for b in range(1, 7)]
    written = [{"question": question, "answer": answer} for question, answer, _ in asked]
    draw, chosen = random.Random(1), []
    for place, (question, _, right) in enumerate(asked):
        half = asked[:30] if place < 30 else asked[30:]
        wrong = sorted({other for _, _, other in half} - {right})
        choices = [right, *draw.sample(wrong, 3)]
        draw.shuffle(choices)
        chosen.append({"question": question, "choices": choices, "gold": choices.index(right)})
    return written, chosen


def lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def files(folder: Path, written: Rows, chosen: Rows) -> Iterator[Path]:
    """The tasks of lm-eval, then the files of questions for EvalScope."""
    for name, rows, how in (("writing", written, WRITTEN), ("choosing", chosen, CHOSEN)):
        data = lines(folder / f"{name}-rows.jsonl", rows)
        path = folder / f"{name}.yaml"
        path.write_text(TASK.format(name=name, rows=data, how=how), "utf-8")
        yield path
    yield lines(folder / "questions.jsonl", written)
    lettered = [
        {"question": row["question"], **dict(zip("ABCD", row["choices"], strict=True)), "answer": "ABCD"[row["gold"]]}
        for row in chosen
    ]
    yield lines(folder / "letters.jsonl", lettered)


def taken(
    home: Home, server: relay.Relay, path: Path, tokenizer: Path, model: str
) -> tuple[suites.Chosen, Path, float]:
    """The tool's own figure, and where its files lie."""
    suite = suites.find(str(path), None)
    folder = path.parent / suite.key
    folder.mkdir()
    request = {
        "tool": suite.tool, "name": suite.way.name, "endpoint": suite.way.endpoint, "arguments": run.arguments(suite),
        "file": suite.file if suite.tool == suites.LM_EVAL else "", "own_code": False, "limit": None,
        "model": model, "url": server.url, "at_once": 1, "context": 2048, "tokenizer": str(tokenizer),
        "folder": str(folder), "offline": True,
    }  # fmt: skip
    (folder / "request.json").write_text(json.dumps(request))
    tool = environments.TOOLS[suite.tool]
    with environments.opened(tool, home, lambda what: print(what, file=sys.stderr), lambda: None) as environment:
        command = environment.python(inside.__file__, str(folder / "request.json"))
        subprocess.run(command, check=True, env=run.settings(server.token, True), stdout=sys.stderr)
    said = json.loads((folder / inside.RESULT).read_bytes())
    return suite, folder, results.READ[suite.tool](said, suite.way.name, suite.way.metric).figure.value * 100


def answers(suite: suites.Chosen, folder: Path) -> list[tuple[str, str]]:
    """What the tool was answered, and what it expected."""
    if suite.tool == suites.LM_EVAL:
        rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text("utf-8").splitlines()]
        return [(row["resps"][0][0], row["doc"]["answer"]) for row in rows]
    reviews = next((folder / "reviews" / "model").glob("*.jsonl")).read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in reviews]
    return [(row["messages"][-1]["content"], row["target"][0]) for row in rows]


def ours(score: str, said: list[tuple[str, str]]) -> float:
    """Our own score of these answers, out of 100."""
    card, argument = evals.find(score)
    scorer = card.open(argument)
    return 100 * sum(scorer.score(text, HeldOutRow(ASKED, answer, (), ())) for text, answer in said) / len(said)


def asked_ourselves(server: relay.Relay, rows: Rows) -> list[tuple[str, str]]:
    """The same questions, one after the other."""
    found = []
    for row in rows:
        body = {"model": "starter", "temperature": 0, "max_tokens": 64,
                "messages": [{"role": "user", "content": row["question"]}]}  # fmt: skip
        status, reply = relay.ask(server, "/v1/chat/completions", json.dumps(body).encode())
        assert status == 200, reply
        found.append((json.loads(reply)["choices"][0]["message"]["content"], row["answer"]))
    return found


def likelier(tokenizer: Path, rows: Rows) -> float:
    """How often transformers finds the right choice the likeliest of the four, out of 100."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, words = AutoModelForCausalLM.from_pretrained(tokenizer), AutoTokenizer.from_pretrained(tokenizer)
    right = 0
    for row in rows:
        start = words(f"Question: {row['question']}\nAnswer:").input_ids
        sums = []
        for choice in row["choices"]:
            ids = words(f"Question: {row['question']}\nAnswer: {choice}").input_ids
            with torch.inference_mode():
                told = model(torch.tensor([ids])).logits[0].log_softmax(-1)
            sums.append(sum(float(told[at - 1, ids[at]]) for at in range(len(start), len(ids))))
        right += sums.index(max(sums)) == row["gold"]
    return 100 * right / len(rows)


def show(what: str, tool: float, same: float | None, own: float | None, bar: bool = True) -> bool:
    held = not bar or all(abs(tool - other) <= BAR for other in (same, own) if other is not None)
    rounded = {key: None if value is None else round(value, 2) for key, value in
               (("tool", tool), ("same_answers", same), ("from_the_start", own))}  # fmt: skip
    print(json.dumps({"what": what, **rounded, "within_a_point": held if bar else None}), flush=True)
    return held


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=starter_gguf())
    parser.add_argument("--tokenizer", type=Path, help="the folder that MODEL was made of; the starter's by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="suites-") as scratch:
        folder = Path(scratch)
        home = Home(folder / "home")
        os.environ["TUNESMITH_HOME"] = str(home.root)
        tokenizer = given.tokenizer or folder / "starter"
        if given.tokenizer is None:
            starter.write(starter_gguf(), tokenizer, lambda done: None)
        client = await ensure_daemon(home)
        try:
            await client.serve(Serve(str(given.model.resolve()), "starter"))
            await client.serve(Serve(str(tokenizer.resolve()), "folder"))
            return await asyncio.to_thread(compared, home, folder, tokenizer)
        finally:
            await client.stop()
            await ended(home)


def compared(home: Home, folder: Path, tokenizer: Path) -> int:
    written, chosen = questions()
    held = []
    with relay.opened(home.socket) as server:
        direct = asked_ourselves(server, written)
        for path in files(folder, written, chosen):
            model = "folder" if path.name == "choosing.yaml" else "starter"
            suite, at, figure = taken(home, server, path, tokenizer, model)
            if suite.way.endpoint == suites.COMPLETIONS:
                held.append(show("lm-eval, likelihoods: acc", figure, None, likelier(tokenizer, chosen)))
                continue
            said = answers(suite, at)
            match suite.way.name:
                case "general_qa":
                    show("EvalScope, written: ROUGE-L", figure, ours("rouge_l", said), None, bar=False)
                case "general_mcq":
                    (folder / "letter.py").write_text(LETTER, "utf-8")
                    chose = ours(f"{folder}/letter.py:choice", said)
                    held.append(show("EvalScope, a letter: accuracy", figure, chose, None))
                case _:
                    exact = ours("exact_match", said), ours("exact_match", direct)
                    held.append(show("lm-eval, written: exact match", figure, *exact))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
