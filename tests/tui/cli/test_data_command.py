"""`tunesmith data`: the whole report and the exact row, for people and programs, and what goes wrong in words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home

MAIN = "from tunesmith.tui.cli.main import main; main()"
BRACKETED = "⟦Hello<|im_end|>⟧"


@pytest.fixture(scope="session")
def starter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter's real tokenizer and chat template in a folder."""
    import gguf

    from tunesmith.daemon.worker import fetch, starter

    folder = tmp_path_factory.mktemp("cli") / "starter"
    folder.mkdir()
    reader = gguf.GGUFReader(fetch.starter_gguf())
    starter.write_tokenizer({key: field.contents() for key, field in reader.fields.items()}, folder)
    return folder


def chat(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three usable rows, one of them twice, and two that are not."""
    rows = [json.dumps(row) for row in (chat("Hi", "Hello"), chat("Hi", "Hello"), chat("Bye", "So long"), chat("", ""))]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join([rows[0], "{broken", *rows[1:]]) + "\n", "utf-8")
    return path


def test_the_report_as_json_has_every_row(tunesmith: Any, file: Path, starter_folder: Path) -> None:
    ran = tunesmith("data", "check", str(file), "--model", str(starter_folder), "--json", cwd=file.parent)
    report = ran.json
    assert ran.code == 0, ran.err
    assert report["rows_read"] == report["rows_kept"] + len(report["rejected"]) == 5
    assert [(row["file"], row["line"]) for row in report["rejected"]] == [(str(file), 2), (str(file), 5)]
    assert all(row["reason"] for row in report["rejected"])
    assert report["shape"] == "messages"
    assert set(report["tokens"]) >= {"p50", "p95", "p99", "max"} and report["tokens"]["max"] > 0
    assert (report["fully_masked"], report["duplicates"], report["cut"]) == (0, 1, 0)
    assert set(report["packing"]) >= {"padding_saved", "rows"} and report["packing"]["rows"] >= 1
    assert json.loads((file.parent / "train.jsonl.rejected.jsonl").read_text("utf-8").splitlines()[0])["line"] == 2


def test_without_a_model_the_token_figures_are_there_and_null(tunesmith: Any, file: Path) -> None:
    report = tunesmith("data", "check", str(file), "--json", cwd=file.parent).json
    assert report["tokens"]["p50"] is None and report["packing"]["rows"] is None
    assert report["duplicates"] == 1


def test_a_person_sees_rows_reasons_places_and_what_to_do(tunesmith: Any, file: Path, starter_folder: Path) -> None:
    ran = tunesmith("data", "check", str(file), "--model", str(starter_folder), cwd=file.parent)
    assert ran.code == 0
    for words in ("5 read", "3 kept", "2 left out", "not valid JSON", "train.jsonl:2", "train.jsonl.rejected.jsonl",
                  "tokens", "█", "--fix dedup", "tunesmith data preview"):  # fmt: skip
        assert words in ran.out, words


def test_fixes_write_a_new_file_and_say_what_is_not_in_it(tunesmith: Any, file: Path) -> None:
    wanted = ("--fix", "dedup,strip-empty", "--fix", "map", "-o", "clean.jsonl")
    ran = tunesmith("data", "check", str(file), *wanted, cwd=file.parent)
    assert ran.code == 0
    assert "clean.jsonl: 2 of 5 rows" in ran.out
    assert (file.parent / "clean.jsonl").read_text("utf-8").count("\n") == 2
    again = tunesmith("data", "check", "clean.jsonl", "--json", cwd=file.parent)
    assert (again.json["rows_read"], again.json["rejected"], again.json["duplicates"]) == (2, [], 0)


def test_data_that_cannot_be_trained_on_ends_with_code_one_and_its_report(tunesmith: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n{\n', "utf-8")
    ran = tunesmith("data", "check", "a.jsonl", "--json", cwd=tmp_path)
    assert ran.code == 1
    assert ran.json["rows_read"] == len(ran.json["rejected"]) == 2
    assert ran.json["shape"] is None
    assert "error" in tunesmith("data", "check", "a.jsonl", cwd=tmp_path).out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("missing.jsonl",), "missing.jsonl"), (("train.jsonl", "--map", "text"), "--map text=response"),
     (("train.jsonl", "--fix", "dedupe", "-o", "c.jsonl"), "Did you mean 'dedup'"),
     (("train.jsonl", "--fix", "dedup"), "-o clean.jsonl"), (("train.jsonl", "--over-long", "chop"), "drop"),
     (("train.jsonl", "--trained", "everything"), "assistant"), (("train.jsonl", "--shape", "message"), "messages"),
     (("train.jsonl", "--model", "nowhere"), "no folder nowhere"), (("train.jsonl", "--model", "."), "tokenizer.json"),
     (("train.jsonl", "--rejected", "train.jsonl"), "one of the files")],
)  # fmt: skip
def test_what_a_person_got_wrong_is_said_with_a_way_out(
    tunesmith: Any, file: Path, arguments: tuple[str, ...], words: str
) -> None:
    ran = tunesmith("data", "check", *arguments, cwd=file.parent)
    assert ran.code == 1
    assert words in ran.err and "hint:" in ran.err
    assert sorted(path.name for path in file.parent.iterdir() if path.is_file()) == ["train.jsonl"]


def test_the_starter_model_is_named_by_one_word(tunesmith: Any, file: Path, home: Home, starter_folder: Path) -> None:
    home.models.mkdir(parents=True)
    (home.models / "starter").symlink_to(starter_folder)
    assert tunesmith("data", "check", str(file), "--model", "starter", "--json", cwd=file.parent).json["tokens"]["max"]


@pytest.mark.slow
def test_the_starter_model_is_unpacked_where_no_run_has_done_so(file: Path, home: Home) -> None:
    command = [sys.executable, "-c", MAIN, "data", "preview", str(file)]
    first, again = (subprocess.run(command, capture_output=True, text=True, timeout=280) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert "unpacking" in first.stderr and BRACKETED in first.stdout
    assert (home.models / "starter" / "model.safetensors").is_file()
    assert "unpacking" not in again.stderr and again.stdout == first.stdout


def test_a_preview_marks_what_is_learned_without_colour(tunesmith: Any, file: Path, starter_folder: Path) -> None:
    ran = tunesmith("data", "preview", str(file), "--model", str(starter_folder), "--tokens")
    assert ran.code == 0
    assert BRACKETED in ran.out
    assert "train.jsonl:1" in ran.out and "learned" in ran.out


def test_a_preview_as_json_has_a_flag_for_every_token(tunesmith: Any, file: Path, starter_folder: Path) -> None:
    found = tunesmith("data", "preview", str(file), "--model", str(starter_folder), "--row", "4", "--json").json
    assert "So long" in found["text"] and found["line"] == 4
    assert len(found["ids"]) == len(found["trained"]) == len(found["tokens"])
    learned = [token for token, trained in zip(found["tokens"], found["trained"], strict=True) if trained]
    assert "".join(learned) == "So long<|im_end|>"


def test_data_cannot_play_with_the_terminal(tunesmith: Any, tmp_path: Path, starter_folder: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(chat("\x1b[2J", "Hello \x1b]0;x\x07")) + "\n", "utf-8")
    ran = tunesmith("data", "preview", "a.jsonl", "--model", str(starter_folder), "--tokens", cwd=tmp_path)
    assert "\x1b" not in ran.out and "\\x1b[2J" in ran.out


@pytest.mark.timeout(120)
def test_an_interrupted_check_ends_quietly_and_leaves_nothing(tmp_path: Path, home: Home) -> None:
    row = json.dumps(chat("Hi", "Hello " * 100)) + "\n"
    (tmp_path / "a.jsonl").write_text("{broken\n" + row * 200_000, "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "data", "check", "a.jsonl"], cwd=tmp_path, env=os.environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # ctrl-c reaches the processes of the pool as well
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.jsonl"]
