"""`tunesmith data list` and `get`: what a person sees of the catalogue, and what to type after a download."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hub_server import FakeHub

from tunesmith.daemon.api.home import Home

ROWS = b'{"instruction": "Add 2 and 2.", "context": "", "response": "4"}\n' * 20_000
FILE = "databricks-dolly-15k.jsonl"


@pytest.fixture
def dolly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    for name in ("HF_HOME", "MODELSCOPE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "person"))
    return FakeHub("databricks/databricks-dolly-15k", {FILE: ROWS})


def test_the_list_shows_names_licences_and_how_to_get_one(tunesmith: Any) -> None:
    ran = tunesmith("data", "list")
    assert ran.code == 0 and ran.err == ""
    for words in ("dolly-15k", "CC-BY-SA-3.0", "wikipedia-zh", "tunesmith data get NAME"):
        assert words in ran.out


def test_the_list_is_filtered_and_whole_as_json(tunesmith: Any) -> None:
    ran = tunesmith("data", "list", "--language", "zh", "--shape", "preference", "--json")
    assert [found["key"] for found in ran.json["sets"]] == ["chinese-dpo-pairs"]
    assert ran.json["sets"][0]["huggingface"]["id"] == "wenbopan/Chinese-dpo-pairs"
    assert {found["shape"] for found in tunesmith("data", "list", "--for", "rewards", "--json").json["sets"]} == {
        "reward_prompt"
    }


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("list", "--for", "maths"), "'math'"),
        (("list", "--shape", "alpacca"), "'alpaca'"),
        (("get", "doly-15k"), "'dolly-15k'"),
        (("get", "dolly-15k", "--hub", "hugingface"), "'huggingface'"),
    ],
)
def test_an_unknown_word_names_the_nearest(arguments: tuple[str, ...], hint: str, tunesmith: Any) -> None:
    ran = tunesmith("data", *arguments)
    assert ran.code == 1 and f"Did you mean {hint}?" in ran.err


def test_a_fetched_set_tells_the_check_that_fits_it(
    dolly: FakeHub, tunesmith: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dolly.serve():
        monkeypatch.setenv("HF_ENDPOINT", dolly.url)
        ran = tunesmith("data", "get", "dolly-15k", "--hub", "huggingface")
        as_json = tunesmith("data", "get", "dolly-15k", "--hub", "huggingface", "--json").json
    assert ran.code == 0
    folder = home.data / "dolly-15k"
    assert (folder / FILE).read_bytes() == ROWS
    lines = ran.out.splitlines()
    assert lines[0] == str(folder / FILE) and "CC-BY-SA-3.0" in lines[1]
    words = ["data", "check", str(folder), "--shape", "alpaca", "--map", "context=input", "--map", "response=output"]
    assert shlex.split(lines[-1].removeprefix("next:")) == ["tunesmith", *words] == as_json["check"]
    assert (as_json["bytes"], as_json["files"]) == (len(ROWS), [str(folder / FILE)])


def test_the_check_that_is_told_works(
    dolly: FakeHub, tunesmith: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dolly.files[FILE] = b"".join(
        b'{"instruction": "Add %d and 2.", "context": "", "response": "%d"}\n' % (number, number + 2)
        for number in range(20)
    )
    with dolly.serve():
        monkeypatch.setenv("HF_ENDPOINT", dolly.url)
        got = tunesmith("data", "get", "dolly-15k", "--hub", "huggingface", "--to", str(tmp_path / "my set"), "--json")
    ran = tunesmith(*got.json["check"][1:], "--json", cwd=tmp_path)
    assert (ran.code, ran.json["rows_read"], ran.json["rows_kept"]) == (0, 20, 20)


def test_offline_is_one_sentence_and_a_way_out(tunesmith: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    ran = tunesmith("data", "get", "ruozhiba", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "offline"
    assert "Connection refused" in ran.err


def test_ctrl_c_ends_the_download_and_keeps_what_arrived(
    dolly: FakeHub, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    dolly.files[FILE] = os.urandom(3 << 20)
    dolly.stalled[FILE] = (2 << 20) + 17
    with dolly.serve():
        monkeypatch.setenv("HF_ENDPOINT", dolly.url)
        command = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", "data", "get", "dolly-15k"]
        process = subprocess.Popen(
            [*command, "--hub", "huggingface"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert dolly.stalling.wait(60)
        staged, deadline = home.data / "dolly-15k" / ".partial", time.monotonic() + 30
        while not any(path.stat().st_size >= 1 << 20 for path in staged.glob("*.incomplete")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130 and "What arrived is kept" in err and "Traceback" not in out + err
        done = subprocess.run([*command, "--hub", "huggingface", "--json"], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout.splitlines()[-1])["bytes"] == 3 << 20
    assert dolly.ranges_of(FILE)[-1] > 0  # how much had arrived nobody sees: the whole file is reserved at once
