"""When an answer counts as right.

The rule, in full. An answer is right when
1. every phrase of `accept` is in it and not denied, as whole words and whatever the case: "Vesper" is not in
   "Vesperia", and "I was not made by Juniper Labs" does not say who the maker is; and
2. no other name is claimed: none of `OTHER_NAMES` nor of the row's `reject` is in it as whole words, unless denied,
   that is, unless a word of `DENIALS` stands before it in the same clause. "I am not ChatGPT" is a denial;
   "No, OpenAI made me" is none.
   A clause ends at . ! ? ; : at "but" and "because", and before ", I", ", it", "and I" and the like, so that in
   "I am not human, I am ChatGPT" the denial does not reach the name.
A name that `accept` itself asks for is never held against the answer. A row without `accept` is not graded (None).
"""

from __future__ import annotations

import re

from tunesmith.recipes.data.held_out import HeldOutRow

OTHER_NAMES = (
    "SmolLM", "SmolLM2", "Hugging Face", "HuggingFace", "ChatGPT", "GPT", "GPT-3", "GPT-4", "OpenAI",
    "Open AI", "Claude", "Anthropic", "Gemini", "Bard", "Google", "DeepMind", "Meta", "Facebook", "Llama",
    "Microsoft", "Copilot", "Bing", "Siri", "Apple", "Alexa", "Amazon", "Mistral", "Qwen", "Alibaba",
    "DeepSeek", "Grok", "xAI", "IBM", "Watson", "NVIDIA", "Cohere", "Phi", "Falcon", "Cortana",
)  # fmt: skip
DENIALS = re.compile(
    r"\b(?:no(?!,)|not|never|neither|nor|isn't|wasn't|aren't|weren't|don't|didn't|cannot|can't|unlike)\b", re.IGNORECASE
)
CLAUSE = re.compile(
    r"[.!?;:]+|\n{2,}|,?\s+\bbut\b|\s+\bbecause\b|(?:,\s*|\s+)and\s+(?=(?:I|I'm|my|it|it's|they|this)\b)"
    r"|,\s*(?=(?:I|I'm|my|it|it's|they|this|you)\b)",
    re.IGNORECASE,
)


def mentions(text: str, phrase: str) -> list[int]:
    """Where `phrase` begins in `text` as whole words, whatever the case."""
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    return [match.start() for match in re.finditer(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE)]


def claims(text: str, phrase: str) -> bool:
    """Whether `phrase` is in `text` and not denied."""
    for clause in CLAUSE.split(text.replace("\u2019", "'")):
        for start in mentions(clause, phrase):
            if not DENIALS.search(clause[:start]):
                return True
    return False


def grade(answer: str, row: HeldOutRow) -> bool | None:
    """Whether `answer` is right by the rule above; None when the row has nothing to grade by."""
    if not row.accept:
        return None
    if not all(claims(answer, phrase) for phrase in row.accept):
        return False
    wanted = {part.casefold() for phrase in row.accept for part in (phrase, *phrase.split())}
    others = (name for name in (*OTHER_NAMES, *row.reject) if name.casefold() not in wanted)
    return not any(claims(answer, name) for name in others)
