"""An exported folder loaded again by transformers, as verification uses it: template, tokens, logits, answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.compare import merged_logits
from tunesmith.daemon.worker.prompts import text_of
from tunesmith.recipes.data.rows import Message
from tunesmith.recipes.errors import DataError, ModelError

Ends = int | list[int] | None


class Folder(ABC):
    """Its tokenizer, which any transformers loads; wherever the model is computed."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelError."""
        self.tokenizer = load.tokenizer(folder)

    def render(self, messages: list[Message]) -> str:
        """Raises ModelError when the template refuses them."""
        try:
            return text_of(messages, self.tokenizer, prompt=True)
        except DataError as error:
            raise ModelError(error.message, error.hint) from error

    def tokenize(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def answer(self, ids: list[int], max_tokens: int) -> tuple[str, bool]:
        """The greedy answer, and whether it ended by itself."""
        own = self.ends()
        end = own if own is not None else self.tokenizer.eos_token_id
        written = self.written(ids, max_tokens, end)
        stopped = bool(written) and written[-1] in ([end] if isinstance(end, int) else end or [])
        return str(self.tokenizer.decode(written, skip_special_tokens=True)).strip(), stopped

    @abstractmethod
    def ends(self) -> Ends:
        """The tokens that end an answer, as the folder's own settings have them."""

    @abstractmethod
    def logits(self, ids: list[int]) -> Any: ...

    @abstractmethod
    def written(self, ids: list[int], max_tokens: int, end: Ends) -> list[int]:
        """What follows `ids`."""


class Reloaded(Folder):
    """What is quantized computes in float32, so that what differs is the weights and not this processor's rounding."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelError."""
        import torch

        super().__init__(folder)
        self._model = load.model(folder, "cpu", torch.float32).eval()
        for module in self._model.modules():
            if hasattr(module, "compute_dtype"):
                module.compute_dtype = torch.float32
            if hasattr(module, "support_avx512bf16_for_cpu"):  # as in quants/nf4.py
                module.support_avx512bf16_for_cpu = False

    def __enter__(self) -> Reloaded:
        return self

    def __exit__(self, *_: object) -> None:
        del self._model

    def ends(self) -> Ends:
        own: Ends = self._model.generation_config.eos_token_id
        return own

    def logits(self, ids: list[int]) -> Any:
        return merged_logits(self._model, ids)

    def written(self, ids: list[int], max_tokens: int, end: Ends) -> list[int]:
        import torch
        from transformers import GenerationConfig

        settings = GenerationConfig(
            do_sample=False, max_new_tokens=max_tokens, pad_token_id=self.tokenizer.pad_token_id, eos_token_id=end
        )
        given = torch.tensor([ids])
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=given, attention_mask=torch.ones_like(given), generation_config=settings
            )
        found: list[int] = output[0, len(ids) :].tolist()
        return found
