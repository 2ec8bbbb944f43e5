"""Models: what planning needs to know of one, from its config.json and the headers of its weight files."""

from __future__ import annotations

from tunesmith.recipes.models.facts import KINDS, Matrix, ModelFacts, Stored
from tunesmith.recipes.models.headers import read, tensors
from tunesmith.recipes.models.reading import from_config

__all__ = ["KINDS", "Matrix", "ModelFacts", "Stored", "from_config", "read", "tensors"]
