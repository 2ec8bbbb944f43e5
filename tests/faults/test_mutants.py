"""The mutants still fit the sources: each old text is there once, and each row is a test."""

from __future__ import annotations

import pytest
from mutants import MUTANTS, ROOT, Mutant, text_of


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_and_has_a_row(mutant: Mutant) -> None:
    assert text_of(mutant).count(mutant.old) == 1
    assert mutant.new not in (mutant.old, "")
    file, _, word = mutant.row.partition(" -k ")
    assert word in (ROOT / file).read_text("utf-8")
