"""How ten families of models write a conversation, as plain string arithmetic that shares nothing with our masks.

Each format says piece by piece what follows the first user message and whether it is trained. What comes up to there
(system prompt, tools) is never trained and is taken from the template as transformers renders it.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

Message = dict[str, Any]
Pieces = list[tuple[str, bool]]


class Refused(Exception):
    """The format rewrites what stands before a trained answer, or drops a part of it."""


class Format(msgspec.Struct, frozen=True):
    """`pieces(messages, first)` covers `messages[first:]`; `calls` says whether the format writes tool calls."""

    name: str
    template: str
    bos: str
    eos: str
    special: tuple[str, ...]
    pieces: Callable[[Sequence[Message], int], Pieces]
    end: tuple[str, ...]
    markers: tuple[str, ...]
    calls: bool = False
    thinks: bool = False
    alternates: bool = False


def shipped(name: str) -> str:
    """A template file of the trl package, which is not imported."""
    found = importlib.util.find_spec("trl")
    assert found is not None and found.origin is not None
    return (Path(found.origin).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def learnt(message: Message) -> bool:
    return message["role"] == "assistant" and bool(message.get("loss", True))


def reasoning(message: Message) -> str:
    return str(message.get("reasoning_content") or "")


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def chatml(messages: Sequence[Message], first: int, turn: str = "<|im_start|>{}\n", after: str = "\n") -> Pieces:
    found: Pieces = []
    for message in messages[first:]:
        found += [
            (turn.format(message["role"]), False),
            (message["content"] + "<|im_end|>", learnt(message)),
            (after, False),
        ]
    return found


def phi4(messages: Sequence[Message], first: int) -> Pieces:
    return chatml(messages, first, "<|im_start|>{}<|im_sep|>", "")


def llama(messages: Sequence[Message], first: int) -> Pieces:
    found: Pieces = []
    for message in messages[first:]:
        role = "ipython" if message["role"] == "tool" else message["role"]
        content = dumped(message["content"]) if role == "ipython" else message["content"].strip()
        for call in message.get("tool_calls", ()):
            function = call["function"]
            content = f'{{"name": "{function["name"]}", "parameters": {dumped(function["arguments"])}}}'
        found.append((f"<|start_header_id|>{role}<|end_header_id|>\n\n", False))
        found.append((content + "<|eot_id|>", learnt(message)))
    return found


def qwen_calls(message: Message, content: str) -> str:
    calls = [
        f'<tool_call>\n{{"name": "{call["function"]["name"]}", "arguments": {dumped(call["function"]["arguments"])}}}'
        "\n</tool_call>"
        for call in message.get("tool_calls", ())
    ]
    return "\n".join([content, *calls] if content or not calls else calls)


def qwen_tool(messages: Sequence[Message], index: int) -> str:
    first = messages[index - 1]["role"] != "tool"
    last = index + 1 == len(messages) or messages[index + 1]["role"] != "tool"
    opening, closing = "<|im_start|>user" if first else "", "<|im_end|>\n" if last else ""
    return f"{opening}\n<tool_response>\n{messages[index]['content']}\n</tool_response>{closing}"


def qwen25(messages: Sequence[Message], first: int) -> Pieces:
    found: Pieces = []
    for index, message in enumerate(messages[first:], first):
        if message["role"] == "tool":
            found.append((qwen_tool(messages, index), False))
        else:
            said = qwen_calls(message, message["content"])
            found.append((f"<|im_start|>{message['role']}\n", False))
            found += [(f"{said}<|im_end|>", learnt(message)), ("\n", False)]
    return found


def qwen3(messages: Sequence[Message], first: int) -> Pieces:
    """Thoughts stay behind the last question only; an earlier answer that had some is not what was asked for."""
    questions = [
        index
        for index, message in enumerate(messages)
        if message["role"] == "user"
        and not (message["content"].startswith("<tool_response>") and message["content"].endswith("</tool_response>"))
    ]
    last_question = questions[-1] if questions else len(messages) - 1
    found: Pieces = []
    thought_before = False
    for index, message in enumerate(messages[first:], first):
        if index in questions:
            thought_before = False
        if message["role"] == "tool":
            found.append((qwen_tool(messages, index), False))
            continue
        content = message["content"]
        if message["role"] == "assistant":
            thought_before |= bool(reasoning(message).strip())
            if thought_before and index <= last_question and learnt(message):
                raise Refused
            final = index == len(messages) - 1
            if index > last_question and (final or reasoning(message)):
                thought = reasoning(message).strip("\n")
                lead = f"<think>\n{thought}\n</think>\n\n"
                content = lead + qwen_calls(message, content).lstrip("\n")
            else:
                content = qwen_calls(message, content)
        found.append((f"<|im_start|>{message['role']}\n", False))
        found += [(f"{content}<|im_end|>", learnt(message)), ("\n", False)]
    return found


def gemma3(messages: Sequence[Message], first: int) -> Pieces:
    found: Pieces = []
    for message in messages[first:]:
        role = "model" if message["role"] == "assistant" else message["role"]
        found.append((f"<start_of_turn>{role}\n", False))
        found += [(message["content"].strip() + "<end_of_turn>", learnt(message)), ("\n", False)]
    return found


def mistral(messages: Sequence[Message], first: int) -> Pieces:
    found: Pieces = []
    for message in messages[first:]:
        if message["role"] == "user":
            found.append((f"[INST] {message['content']}[/INST]", False))
        elif message["role"] == "tool":
            found.append((f"[TOOL_RESULTS] {message['content']}[/TOOL_RESULTS]", False))
        elif message.get("tool_calls"):
            calls = dumped([call["function"] for call in message["tool_calls"]])
            found.append((f"[TOOL_CALLS] {calls}</s>", learnt(message)))
        else:
            found.append((f" {message['content']}</s>", learnt(message)))
    return found


def deepseek(messages: Sequence[Message], first: int) -> Pieces:
    found: Pieces = []
    for message in messages[first:]:
        if message["role"] == "user":
            found.append((f"<｜User｜>{message['content']}", False))
            continue
        # The prompt ends in "<think>\n"; an answer is trained from there where it has that, else from its header.
        lead = "<think>\n" if message["content"].startswith("<think>\n") else ""
        found.append((f"<｜Assistant｜>{lead}", False))
        found.append((message["content"].removeprefix(lead) + "<｜end▁of▁sentence｜>", learnt(message)))
    return found


def glm4(messages: Sequence[Message], first: int) -> Pieces:
    """A turn is ended by the opening of the next one; the last has none, and gets the one that would follow."""
    last_question = max(index for index, message in enumerate(messages) if message["role"] == "user")
    found: Pieces = []
    thought_before = False
    for index, message in enumerate(messages[first:], first):
        if message["role"] == "user":
            thought_before = False
            found.append((("" if found else "<|user|>") + f"\n{message['content']}", False))
        elif message["role"] == "tool":
            again = messages[index - 1]["role"] == "tool"
            found.append((f"\n<tool_response>\n{message['content']}\n</tool_response>", False))
            assert not again
        else:
            thought = reasoning(message)
            thought_before |= bool(thought.strip())
            if thought_before and index < last_question and learnt(message):
                raise Refused
            said = "\n<think></think>"
            if index > last_question and thought:
                said = f"\n<think>{thought.strip()}</think>"
            if message["content"].strip():
                said += "\n" + message["content"].strip()
            for call in message.get("tool_calls", ()):
                said += f"\n<tool_call>{call['function']['name']}\n"
                for key, value in call["function"]["arguments"].items():
                    shown = value if isinstance(value, str) else dumped(value)
                    said += f"<arg_key>{key}</arg_key>\n<arg_value>{shown}</arg_value>\n"
                said += "</tool_call>"
            found.append(("<|assistant|>", False))
            found.append((said + ("<|observation|>" if message.get("tool_calls") else "<|user|>"), learnt(message)))
    return found


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'"
    " }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PHI4 = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '<|im_sep|>' + message.content + '<|im_end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% if tools %}{{ '[AVAILABLE_TOOLS] ' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}{% endif %}"
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}"
    "{% for message in rest %}"
    "{% if message.role == 'user' %}{{ '[INST] ' + (system if loop.first else '') + message.content + '[/INST]' }}"
    "{% elif message.role == 'tool' %}{{ '[TOOL_RESULTS] ' + message.content + '[/TOOL_RESULTS]' }}"
    "{% elif message.tool_calls %}"
    "{{ '[TOOL_CALLS] ' + (message.tool_calls | map(attribute='function') | list | tojson) + eos_token }}"
    "{% else %}{{ ' ' + message.content + eos_token }}{% endif %}{% endfor %}"
)
LLAMA_TOKENS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|python_tag|>")
DEEPSEEK_TOKENS = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")
MISTRAL_TOKENS = ("<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]")
GLM_TOKENS = ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
CHATML_MARKERS = ("<|im_start|>", "<|im_end|>", "<|im_start|>assistant\n", "<|im_end|>\n<|im_start|>user\n")
LLAMA_MARKERS = ("<|eot_id|>", "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|><|start_header_id|>")
QWEN_MARKERS = (*CHATML_MARKERS, "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>")
TURN = "<|endoftext|>", "<|im_end|>"

FORMATS = (
    Format("smollm2", CHATML, *TURN, (), chatml, ("<|im_end|>",), CHATML_MARKERS),
    Format("llama3", shipped("llama3"), *LLAMA_TOKENS[::3], LLAMA_TOKENS, llama, ("<|eot_id|>",), LLAMA_MARKERS),
    Format(
        "llama3.1", shipped("llama3_1"), *LLAMA_TOKENS[::3], LLAMA_TOKENS, llama, ("<|eot_id|>",), LLAMA_MARKERS, True
    ),
    Format(
        "llama3.2", shipped("llama3_2"), *LLAMA_TOKENS[::3], LLAMA_TOKENS, llama, ("<|eot_id|>",), LLAMA_MARKERS, True
    ),
    Format("qwen2.5", shipped("qwen2_5"), *TURN, (), qwen25, ("<|im_end|>",), QWEN_MARKERS, True),
    Format("qwen3", shipped("qwen3"), *TURN, (), qwen3, ("<|im_end|>",), QWEN_MARKERS, True, True),
    Format(
        "gemma3",
        shipped("gemma3"),
        "<bos>",
        "<eos>",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        gemma3,
        ("<end_of_turn>",),
        ("<start_of_turn>", "<end_of_turn>", "<end_of_turn>\n<start_of_turn>model\n"),
        alternates=True,
    ),
    Format(
        "mistral",
        MISTRAL,
        "<s>",
        "</s>",
        MISTRAL_TOKENS,
        mistral,
        ("</s>",),
        ("[INST]", "[/INST]", "</s>", "</s>[INST] ", "[TOOL_CALLS] ["),
        True,
    ),
    Format("phi4", PHI4, *TURN, ("<|im_sep|>",), phi4, ("<|im_end|>",), (*CHATML_MARKERS, "<|im_sep|>")),
    Format(
        "deepseek-r1-distill",
        shipped("deepseek_r1_distill"),
        *DEEPSEEK_TOKENS[:2],
        DEEPSEEK_TOKENS,
        deepseek,
        DEEPSEEK_TOKENS[1:2],
        (*DEEPSEEK_TOKENS, "<think>\n", "<think>"),
    ),
    Format(
        "glm4",
        shipped("glm4moe"),
        "<|endoftext|>",
        "<|endoftext|>",
        GLM_TOKENS,
        glm4,
        ("<|user|>", "<|observation|>"),
        ("<|user|>", "<|assistant|>", "<|observation|>", "<|user|>\n", "<think>", "<think></think>\n"),
        True,
        True,
    ),
)
