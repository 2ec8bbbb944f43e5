"""Words are English to everybody, and remember what they were made of."""

from __future__ import annotations

import pickle

import msgspec
import pytest

from tunesmith.recipes.data.rows import FileNotice, RejectedRow
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.words import Said, again, meaning, of_error, of_file, of_row, reasons, said, say

COMPILER = say("no_compiler", "there is no C++ compiler ({names})", names="g++")


def test_words_are_text_with_their_values_in_it() -> None:
    assert COMPILER == "there is no C++ compiler (g++)"
    assert COMPILER.said == Said(COMPILER, "no_compiler", {"names": "g++"})
    assert type(msgspec.json.decode(msgspec.json.encode(COMPILER.said), type=Said).text) is str


def test_words_within_words_keep_what_they_mean() -> None:
    forced = say("forced", "Started by force: {why}.", why=COMPILER)
    assert forced == "Started by force: there is no C++ compiler (g++)."
    assert forced.said.values == {"why": COMPILER.said}


def test_reasons_are_one_text_and_stay_apart() -> None:
    both = reasons([COMPILER, "the library says: no"])
    assert both == "there is no C++ compiler (g++); the library says: no"
    assert said(both).values == {"reasons": (COMPILER.said, Said("the library says: no"))}
    assert reasons([COMPILER]) is COMPILER and reasons([]) == ""


def test_what_others_write_means_itself() -> None:
    assert meaning("torch.mm") is None and said("torch.mm") == Said("torch.mm")
    assert again("of an older version") == "of an older version"
    assert again(COMPILER.said).said == COMPILER.said


def test_errors_rows_and_files_bring_their_codes() -> None:
    error = MachineError("model.safetensors is damaged", code="corrupt")
    assert of_error(error).said == Said(error.message, "error.corrupt")
    row = of_row(RejectedRow("a.jsonl", 3, "no token to learn from", "nothing_trained", {"odd": 1.5}))
    assert row.said == Said("a.jsonl:3: no token to learn from", "row.nothing_trained",
                            {"odd": "1.5", "file": "a.jsonl", "line": 3})  # fmt: skip
    assert of_file(FileNotice("a.csv", "read as UTF-16", "utf16")).said.code == "file.utf16"


def test_only_what_words_mean_crosses_the_socket() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(COMPILER)  # so that nobody sends words as text and forgets their code


def test_words_go_through_processes_and_the_socket_unchanged() -> None:
    nested = say("forced", "Started by force: {why}.", why=reasons([COMPILER, COMPILER]))
    there = pickle.loads(pickle.dumps(nested))
    assert there == nested and there.said == nested.said
    assert msgspec.json.decode(msgspec.json.encode(nested.said), type=Said) == nested.said
