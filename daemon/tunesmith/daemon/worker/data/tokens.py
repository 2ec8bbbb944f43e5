"""The tokenizer that prepares rows, proven to cut text as transformers does with the same model folder."""

from __future__ import annotations

from pathlib import Path

from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.prompts import text_of
from tunesmith.recipes.data.examine import loaded
from tunesmith.recipes.errors import DataError, ModelError
from tunesmith.recipes.words import say

# Spaces, digits, scripts, line ends and marks that tokenizers are known to cut differently.
PROBES = (
    " Hello  world, it's 2024:\n\n\t3.14159 apples\u2019 caf\u00e9 na\u00efve",
    "\u4f60\u597d\uff0c\u4e16\u754c \U0001f600",
    "def f(x):\n    return x**2  # 1234567\r\n",
    "\u0391\u03b2\u03b3 \u0416\u0438\u0437\u043d\u044c \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\u0e44\u0e17\u0e22 e\u0301 \u00a0x",
)
CONVERSATION = [
    {"role": "user", "content": PROBES[0]},
    {"role": "assistant", "content": PROBES[1]},
    {"role": "user", "content": PROBES[2]},
]


def folder(context: Context) -> Path:
    """The model folder, or a folder with what transformers makes of its tokenizer files where these disagree.

    Raises ModelError when both ways still cut text differently.
    """
    if same(context.base, context):
        return context.base
    made = context.work / "tokenizer"
    context.tokenizer.save_pretrained(str(made))
    if not same(made, context):
        raise ModelError(
            f"tokenizer.json of {context.base} cuts text into other tokens than transformers does with its files",
            "Download the model again; its tokenizer files do not belong together.",
        )
    english = "tokenizer.json and tokenizer_config.json disagree; transformers' reading of them holds."
    context.notice("info", say("tokenizers_disagree", english))
    return made


def same(model: Path, context: Context) -> bool:
    """Whether texts, special tokens and a rendered conversation come to the same tokens both ways."""
    try:
        ours = loaded(str(model))
    except ModelError:
        return False
    theirs = context.tokenizer
    try:
        rendered = text_of(CONVERSATION, theirs, prompt=True)
    except DataError:  # a template that refuses this conversation refuses it in both
        rendered = ""
    if ours.template is None:
        return False
    texts = [*PROBES, rendered, *theirs.all_special_tokens]
    for text, (ids, _) in zip(texts, ours.encode_many(texts, [()] * len(texts)), strict=True):
        if not ids.tolist() == ours.encode(text).ids.tolist() == theirs(text, add_special_tokens=False)["input_ids"]:
            return False
    return not rendered or ours.template.text(CONVERSATION, prompt=True) == rendered
