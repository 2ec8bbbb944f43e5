"""An Ollama Modelfile beside a GGUF: its chat template as a Go template, its stop texts and its parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon.worker.llama import LONGEST_CONTEXT
from tunesmith.daemon.worker.prompts import text_of
from tunesmith.recipes.errors import TunesmithError

SYSTEM, USER, ASSISTANT, AGAIN = (
    "SYSTEMTEXT",
    "USERTEXT",
    "ASSISTANTTEXT",
    "AGAINTEXT",
)  # found again in what is rendered
SAMPLING = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "repetition_penalty": "repeat_penalty"}
Messages = list[dict[str, str]]


class Pieces(msgspec.Struct, frozen=True):
    """What a template writes around each role's text; `default` stands first where no system prompt is given.

    `system` is None where the template has no place for one.
    """

    system: tuple[str, str] | None
    user: tuple[str, str]
    assistant: tuple[str, str]
    default: str
    opening: str  # of the answer

    def written(self, messages: Messages) -> str:
        """What Ollama makes of `messages`, to be compared with the template itself."""
        text = "" if messages[0]["role"] == "system" else self.default
        for message in messages:
            before, after = getattr(self, message["role"])
            text += before + message["content"] + after
        return text + self.opening

    def go(self) -> str:
        """Literals are actions too: outside of them Go's trimming would eat line ends."""
        literal = json.dumps
        user, assistant = self.user, self.assistant
        head = ""
        if self.system is not None:
            block = f"{{{{ {literal(self.system[0])} }}}}{{{{ .System }}}}{{{{ {literal(self.system[1])} }}}}"
            default = f"{{{{ else }}}}{{{{ {literal(self.default)} }}}}" if self.default else ""
            head = f"{{{{ if .System }}}}{block}{default}{{{{ end }}}}"
        elif self.default:
            head = f"{{{{ {literal(self.default)} }}}}"
        turns = "".join(
            f'{{{{ {word} eq .Role "{role}" }}}}{{{{ {literal(before)} }}}}{{{{ .Content }}}}{{{{ {literal(after)} }}}}'
            for word, role, (before, after) in (("if", "user", user), ("else if", "assistant", assistant))
        )
        return f"{head}{{{{ range .Messages }}}}{turns}{{{{ end }}}}{{{{ end }}}}{{{{ {literal(self.opening)} }}}}"


def pieces(render: Callable[[Messages, bool], str], bos: str) -> Pieces | None:
    """Those of the template behind `render(messages, prompt)`; None where it is not made of pieces around each text."""
    with_system = said(("system", SYSTEM), ("user", USER), ("assistant", ASSISTANT), ("user", AGAIN))
    for several in (with_system, with_system[1:]):
        try:
            found = taken_apart(render, several, bos)
            checks = (several, several[:-2], with_system[1:])
            if found is not None and all(found.written(one) == render(one, True).removeprefix(bos) for one in checks):
                return found
        except TunesmithError:  # it refuses a system prompt
            continue
    return None


def taken_apart(render: Callable[[Messages, bool], str], messages: Messages, bos: str) -> Pieces | None:
    """`messages` are user, assistant, user, with a system prompt before them or not."""
    texts = [message["content"] for message in messages]
    parts = split(render(messages, True).removeprefix(bos), texts)
    closed = split(render(messages[:-1], False).removeprefix(bos), texts[:-1])
    open_turn = split(render(messages, False).removeprefix(bos), texts)
    alone = split(render(said(("user", USER)), True).removeprefix(bos), [USER])
    if parts is None or closed is None or open_turn is None or alone is None:
        return None
    after_assistant, after_user = closed[-1], open_turn[-1]
    before_user = parts[-2].removeprefix(after_assistant)
    before_assistant = parts[-3].removeprefix(after_user)
    system = (parts[0], parts[1].removesuffix(before_user)) if len(messages) == 4 else None
    return Pieces(
        system=system,
        user=(before_user, after_user),
        assistant=(before_assistant, after_assistant),
        default=alone[0].removesuffix(before_user),
        opening=parts[-1].removeprefix(after_user),
    )


def said(*turns: tuple[str, str]) -> Messages:
    return [{"role": role, "content": content} for role, content in turns]


def split(text: str, texts: list[str]) -> list[str] | None:
    """What stands before, between and after `texts`, which come in this order; None where they do not."""
    found = []
    for one in texts:
        before, mark, text = text.partition(one)
        if not mark:
            return None
        found.append(before)
    return [*found, text]


def modelfile(file_name: str, tokenizer: Any, merged: Path) -> str:
    """The text of the Modelfile; without TEMPLATE, where Ollama has to take the one in the GGUF."""
    found = pieces(lambda messages, prompt: text_of(messages, tokenizer, prompt=prompt), tokenizer.bos_token or "")
    lines = [f"FROM ./{file_name}"]
    stops = {tokenizer.eos_token}
    if found is None or '"""' in found.go():
        lines.append("# The chat template is not made of pieces around each message: Ollama takes the one in the GGUF.")
    else:
        lines.append(f'TEMPLATE """{found.go()}"""')
        stops.add(found.assistant[1].strip())
    lines += [f"PARAMETER stop {json.dumps(stop)}" for stop in sorted(stop for stop in stops if stop)]
    lines += [f"PARAMETER {name} {value}" for name, value in parameters(merged).items()]
    return "\n".join(lines) + "\n"


def parameters(merged: Path) -> dict[str, float | int]:
    """The context, and how the base's makers sample, by Ollama's names."""
    config = json.loads((merged / "config.json").read_text("utf-8"))
    context = config.get("max_position_embeddings")
    found: dict[str, float | int] = {}
    if isinstance(context, int):
        found["num_ctx"] = min(context, LONGEST_CONTEXT)
    path = merged / "generation_config.json"
    own = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    for ours, theirs in SAMPLING.items():
        if isinstance(own.get(ours), int | float) and not isinstance(own[ours], bool):
            found[theirs] = own[ours]
    return found
