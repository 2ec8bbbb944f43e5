"""Rows that say the same are found, wherever they stand, and in little memory."""

from __future__ import annotations

import numpy
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.data.duplicates import Seen, content_hash
from tunesmith.recipes.data.rows import Part, Sample


def conversation(answer: str, line: int = 1, **fields: object) -> Sample:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer}]
    return Sample("a.jsonl", line, "messages", (Part("conversation", messages=messages),), **fields)  # type: ignore[arg-type]


def test_the_place_of_a_row_does_not_matter_but_every_word_does() -> None:
    assert content_hash(conversation("Hello", 1)) == content_hash(conversation("Hello", 900, columns={"id": 7}))
    assert content_hash(conversation("Hello")) != content_hash(conversation("Hello "))
    assert content_hash(conversation("Hello")) != content_hash(conversation("Hello", label=True))


def test_tools_are_part_of_a_row_whatever_the_order_of_their_keys() -> None:
    one = conversation("Hello", tools=[{"name": "clock", "zone": "UTC"}])
    other = conversation("Hello", tools=[{"zone": "UTC", "name": "clock"}])
    assert content_hash(one) == content_hash(other) != content_hash(conversation("Hello"))


def test_huge_numbers_and_half_characters_in_arguments_are_hashed_too() -> None:
    huge = conversation("Hello", tools=[{"n": 10**40, "s": "\ud83d"}])
    assert content_hash(huge) == content_hash(conversation("Hello", tools=[{"s": "\ud83d", "n": 10**40}]))


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=30))
def test_each_chunk_learns_which_of_its_rows_came_before(chunks: list[list[int]]) -> None:
    seen = Seen()
    before: set[int] = set()
    for chunk in chunks:
        expected = []
        for value in chunk:
            expected.append(value in before)
            before.add(value)
        assert seen.add(numpy.array(chunk, numpy.uint64)).tolist() == expected
    assert len(seen) == len(before)
    asked = numpy.arange(41, dtype=numpy.uint64)
    assert seen.contains(asked).tolist() == [value in before for value in range(41)]


def test_a_million_hashes_lie_in_few_arrays_of_eight_bytes() -> None:
    seen = Seen()
    random = numpy.random.default_rng(0)
    for _ in range(500):
        seen.add(random.integers(0, 2**63, 2000).astype(numpy.uint64))
    assert len(seen.levels) <= 12
    assert sum(level.nbytes for level in seen.levels) == 8 * len(seen) <= 8_000_000
