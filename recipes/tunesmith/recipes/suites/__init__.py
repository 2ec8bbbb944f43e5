"""Public benchmarks by name, a TOML file each: what is asked, and what the tools that run it call it. Own files too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.errors import RecipeError, nearest
from tunesmith.recipes.possible_path import resolved

LM_EVAL, EVALSCOPE = TOOLS = ("lm-eval", "evalscope")
CHAT, COMPLETIONS = ENDPOINTS = ("chat", "completions")
INSTALLED: Mapping[str, int] = MappingProxyType({LM_EVAL: 83_000_000, EVALSCOPE: 181_000_000})  # bytes, measured
HUBS: Mapping[str, str] = MappingProxyType({LM_EVAL: "Hugging Face", EVALSCOPE: "ModelScope"})  # of questions
OF_SUFFIX: Mapping[str, str] = MappingProxyType({".yaml": LM_EVAL, ".jsonl": EVALSCOPE})
MOST = 16  # suites of one job
MOST_QUESTIONS = 1_000_000
TASK_BYTES = 1_000_000  # of a task's file; those of lm-eval have a few kB
NAMED = re.compile(r"^task:[ \t]*[\"']?([\w.-]+)[\"']?[ \t]*$", re.MULTILINE)
LIKELIHOOD = re.compile(r"^output_type:[ \t]*[\"']?(multiple_choice|loglikelihood\w*)\b", re.MULTILINE)
OWN_CODE = re.compile(r"!function\b|^(class|custom_dataset):|unsafe_code:[ \t]*true", re.MULTILINE)


class Way(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name` is what the tool calls the suite, `metric` the figure to take (empty: the tool's first).

    `endpoint` is what it asks of a server: chat, or completions with the likelihoods of the prompt. `questions` it has
    in how many `parts`; `read` and `written` are tokens of a question, all its prompts together: of EvalScope's as it
    counts them itself (four characters a token, of Chinese one and a half), of others reckoned from these.
    """

    name: str
    metric: str = ""
    endpoint: str = CHAT
    questions: int = 0
    parts: int = 1
    read: int = 0
    written: int = 0


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tools` has what can run it, the one that does unless another is asked for first."""

    title: str
    blurb: str
    tools: dict[str, Way]


class Chosen(msgspec.Struct, frozen=True):
    """A suite as a job runs it; `file` is the person's own, and `own_code` one whose Python code is run."""

    key: str
    title: str
    tool: str
    way: Way
    file: str = ""
    own_code: bool = False


# Of a file of questions EvalScope runs: ROUGE-L against the answer, or with choices the right letter.
QUESTIONS = {False: Way("general_qa", "rouge.f1.l"), True: Way("general_mcq")}


@cache
def cards() -> Mapping[str, Suite]:
    """By name."""
    return MappingProxyType(dict(catalog.tables(Path(__file__).parent, Suite)))


def is_file(text: str) -> bool:
    return Path(text).suffix.lower() in OF_SUFFIX


def located(text: str, folder: Path) -> str:
    """A file's path absolute against `folder`; a name as it is."""
    return resolved(text, folder) if is_file(text) else text


def name_of(text: str) -> str:
    """What a gate calls its figure: a suite by its name, a file by its own without the ending."""
    found = re.sub(r"\W", "_", Path(text).stem, flags=re.ASCII) if is_file(text) else text
    return f"_{found}" if found[:1].isdigit() else found


def check(text: str, tool: str | None) -> str:
    """The tool that runs it. Raises RecipeError for a suite or a tool that is not known, or that do not go together."""
    if tool is not None and tool not in TOOLS:
        raise RecipeError(f"There is no tool '{tool}' that runs suites", nearest(tool, TOOLS))
    if is_file(text):
        runs: tuple[str, ...] = (OF_SUFFIX[Path(text).suffix.lower()],)
    elif text in cards():
        runs = tuple(cards()[text].tools)
    else:
        hint = f"{nearest(text, cards())} Or give a file: task.yaml of lm-eval, questions.jsonl."
        raise RecipeError(f"There is no suite '{text}'", hint)
    if tool is not None and tool not in runs:
        raise RecipeError(f"{tool} does not run '{text}'", f"It is run by {' and '.join(runs)}: leave the tool out.")
    return tool or runs[0]


def asked(text: str, tool: str | None, limit: int | None) -> int | None:
    """How many of its questions a model is asked at most; None of a file, which is not read. Raises RecipeError."""
    runs = check(text, tool)
    if text not in cards():
        return None
    way = cards()[text].tools[runs]
    return way.questions if limit is None else min(way.questions, limit * way.parts)


def find(text: str, tool: str | None) -> Chosen:
    """A file is looked into. Raises RecipeError."""
    runs = check(text, tool)
    if text in cards():
        return Chosen(text, cards()[text].title, runs, cards()[text].tools[runs])
    path = Path(text)
    if runs == EVALSCOPE:
        return Chosen(path.stem, path.name, runs, QUESTIONS[_has_choices(path)], text)
    said = _start_of(path)
    named = NAMED.search(said)
    if named is None:
        raise RecipeError(f"{path} names no task", "Give a task file of lm-eval: it has a line `task: NAME`.")
    endpoint = COMPLETIONS if LIKELIHOOD.search(said) else CHAT
    return Chosen(named[1], path.name, runs, Way(named[1], "", endpoint), text, OWN_CODE.search(said) is not None)


def _start_of(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(TASK_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"Cannot read the suite {path}: {error}", "Check the path.") from error


def _has_choices(path: Path) -> bool:
    """Whether the first row has answers A and B to choose from. Raises RecipeError for what is no row."""
    first = next((line for line in _start_of(path).splitlines() if line.strip()), "")
    try:
        row = msgspec.json.decode(first, type=dict[str, object])
    except msgspec.DecodeError as error:
        hint = 'Give a JSON object a line: {"question": ..., "answer": ...}, with "A", "B", ... for choices.'
        raise RecipeError(f"{path} begins with no row of questions: {error}", hint) from error
    if not ({"question", "query", "messages"} & row.keys() and {"answer", "response"} & row.keys()):
        hint = 'Each has "question" (or "messages") and "answer".'
        raise RecipeError(f"The first row of {path} is no question with an answer", hint)
    return {"A", "B", "question", "answer"} <= row.keys()
