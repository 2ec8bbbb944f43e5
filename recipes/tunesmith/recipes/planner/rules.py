"""Rules of thumb that plans go by where the recipe says nothing: `rules.toml`, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    source: str


class Rank(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    lean: int
    balanced: int
    best: int
    best_of_few: int
    few_rows: int
    alpha_per_rank: int


class LearningRate(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    adapter: float
    adapter_wide: float
    wide: int
    full: float
    full_weight_decay: float


class Full(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    trained_tokens: int


class Batch(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    sequences: tuple[int, ...]
    least_steps: int


class Epochs(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    up_to_rows: tuple[int, ...]
    epochs: tuple[int, ...]


class Lengths(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    outlier: float
    shorter: tuple[int, ...]


class Window(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    tokens: dict[str, int]
    otherwise: int

    def least(self, device: str) -> int:
        """Tokens computed at once where memory is short."""
        return self.tokens.get(device, self.otherwise)


class Export(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    up_to_parameters: tuple[int, ...]
    variants: tuple[str, ...]


class Faster(_Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bfloat16: float


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Each table has the `source` of its figures."""

    rank: Rank
    learning_rate: LearningRate
    full: Full
    batch: Batch
    epochs: Epochs
    lengths: Lengths
    window: Window
    export: Export
    faster: Faster

    def epochs_of(self, rows: int) -> int:
        """How often `rows` rows are seen."""
        return self.epochs.epochs[sum(rows > limit for limit in self.epochs.up_to_rows)]

    def batch_of(self, rows: int, epochs: int) -> int:
        """Rows of an optimizer step."""
        sizes = self.batch.sequences
        return next((size for size in sizes if rows * epochs >= size * self.batch.least_steps), sizes[-1])

    def gguf_of(self, parameters: int) -> str:
        """The GGUF type that suits a model of this size: the fewer weights, the more each counts."""
        return self.export.variants[sum(parameters > limit for limit in self.export.up_to_parameters)]


@cache
def rules() -> Rules:
    return msgspec.toml.decode(Path(__file__).with_name("rules.toml").read_bytes(), type=Rules)
