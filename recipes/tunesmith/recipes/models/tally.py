"""Tally: weight matrices and vectors, counted up layer by layer."""

from __future__ import annotations

from collections import Counter

from tunesmith.recipes.models.facts import Matrix


class Tally:
    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, int, int]] = Counter()
        self.vectors = 0
        self.expert_vectors = 0
        self.state_numbers = 0

    def matrix(self, part: str, name: str, inputs: int, outputs: int, *, bias: bool = False, times: int = 1) -> None:
        self.counts[part, name, inputs, outputs] += times
        if bias:
            self.vectors += outputs * times

    def vector(self, length: int, times: int = 1) -> None:
        self.vectors += length * times

    def matrices(self) -> tuple[Matrix, ...]:
        return tuple(Matrix(*shape, count) for shape, count in self.counts.items())
