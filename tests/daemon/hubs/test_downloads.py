"""Data sets come whole or not at all, from real client libraries that talk to a hub on the loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import COMMIT, FakeHub

from tunesmith.recipes.data import public_sets

HUBS = ("modelscope", "huggingface")
KEY = "dolly-15k"  # lies at both hubs
MEBI = 1 << 20
ROWS = b'{"instruction": "Add 2 and 2.", "context": "", "response": "4"}\n' * 40_000
FILE = "databricks-dolly-15k.jsonl"

Get = Callable[..., "subprocess.Popen[str]"]


def repository_of(hub: str, key: str = KEY) -> str:
    return public_sets.find(key).repositories[hub].id


@pytest.fixture
def get(tmp_path: Path) -> Iterator[Get]:
    """`get(hub, url)` starts a download as the command line does; its libraries know no other place than `url`."""
    started: list[subprocess.Popen[str]] = []

    def run(hub: str, url: str, key: str = KEY, token: str = "") -> subprocess.Popen[str]:
        own = {
            "HF_ENDPOINT": url, "MODELSCOPE_ENDPOINT": url, "HOME": str(tmp_path), "NO_PROXY": "*",
            "HF_HOME": str(tmp_path / "hf"), "MODELSCOPE_HOME": str(tmp_path / "ms"),
            "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "1",
        } | ({"HF_TOKEN": token} if token else {})  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MODELSCOPE_"))}
        command = [sys.executable, "-m", "tunesmith.daemon.hubs", "get", key, "--hub", hub, "--json-progress"]
        process = subprocess.Popen(
            [*command, "--to", str(tmp_path / "set")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=kept | own,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("hub", HUBS)
def test_a_set_arrives_whole_with_progress_and_a_record(hub: str, get: Get, tmp_path: Path) -> None:
    fake = FakeHub(repository_of(hub), {FILE: ROWS, "README.md": b"# Dolly\n", "load.py": b"raise SystemExit\n"})
    with fake.serve():
        messages = told(get(hub, fake.url))
    folder = tmp_path / "set"
    assert messages[-1]["type"] == "downloaded"
    assert messages[-1]["files"] == [str(folder / FILE)]
    assert [message["type"] for message in messages[:-1]] == ["downloading"] * (len(messages) - 1)
    assert messages[-2] == {"type": "downloading", "done": len(ROWS), "total": len(ROWS)}
    assert (folder / FILE).read_bytes() == ROWS
    assert sorted(path.name for path in folder.iterdir()) == [".hub.json", FILE]
    record = json.loads((folder / ".hub.json").read_bytes())
    assert record["revision"] == (COMMIT if hub == "huggingface" else "master")
    assert {asked.path for asked in fake.asked} == {FILE}


@pytest.mark.parametrize("hub", HUBS)
def test_what_is_there_and_whole_is_not_fetched_again(hub: str, get: Get) -> None:
    fake = FakeHub(repository_of(hub), {FILE: ROWS})
    with fake.serve():
        told(get(hub, fake.url))
        assert told(get(hub, fake.url))[-1]["type"] == "downloaded"
    assert fake.ranges_of(FILE) == [0]


@pytest.mark.parametrize("hub", HUBS)
def test_a_file_that_was_changed_on_disk_is_fetched_again(hub: str, get: Get, tmp_path: Path) -> None:
    fake = FakeHub(repository_of(hub), {FILE: ROWS})
    with fake.serve():
        told(get(hub, fake.url))
        (tmp_path / "set" / FILE).write_bytes(ROWS[:-1] + b" ")
        told(get(hub, fake.url))
    assert (tmp_path / "set" / FILE).read_bytes() == ROWS
    assert len(fake.ranges_of(FILE)) == 2


@pytest.mark.parametrize("hub", HUBS)
def test_a_killed_download_goes_on_where_it_stopped(hub: str, get: Get, tmp_path: Path) -> None:
    content = os.urandom(4 * MEBI)
    fake = FakeHub(repository_of(hub), {FILE: content})
    fake.stalled[FILE] = 3 * MEBI + 17
    with fake.serve():
        process = get(hub, fake.url)
        assert fake.stalling.wait(60)
        staged = tmp_path / "set" / ".partial"
        until(lambda: journalled(staged) >= 2 * MEBI)
        process.kill()
        process.wait()
        assert not (tmp_path / "set" / FILE).exists()
        messages = told(get(hub, fake.url))
    begun = fake.ranges_of(FILE)
    assert begun[0] == 0 and begun[-1] >= 2 * MEBI
    assert messages[-1]["type"] == "downloaded"
    assert (tmp_path / "set" / FILE).read_bytes() == content


def test_a_stopped_download_ends_at_once_and_goes_on(get: Get, tmp_path: Path) -> None:
    content = os.urandom(4 * MEBI)
    fake = FakeHub(repository_of("modelscope"), {FILE: content})
    fake.stalled[FILE] = 3 * MEBI + 17
    with fake.serve():
        process = get("modelscope", fake.url)
        assert fake.stalling.wait(60)
        until(lambda: journalled(tmp_path / "set" / ".partial") >= 2 * MEBI)
        process.terminate()
        assert (told(process), process.returncode)[1] == 130
        assert journalled(tmp_path / "set" / ".partial") > 3 * MEBI - MEBI // 2
        assert told(get("modelscope", fake.url))[-1]["type"] == "downloaded"
    assert fake.ranges_of(FILE)[-1] > 3 * MEBI - MEBI // 2
    assert (tmp_path / "set" / FILE).read_bytes() == content


@pytest.mark.parametrize("hub", HUBS)
def test_a_broken_connection_is_taken_up_again(hub: str, get: Get, tmp_path: Path) -> None:
    content = os.urandom(4 * MEBI)
    fake = FakeHub(repository_of(hub), {FILE: content})
    fake.cut[FILE] = 2 * MEBI + 17
    with fake.serve():
        assert told(get(hub, fake.url))[-1]["type"] == "downloaded"
    assert (tmp_path / "set" / FILE).read_bytes() == content
    assert fake.ranges_of(FILE)[-1] >= MEBI


@pytest.mark.parametrize("hub", HUBS)
def test_a_hub_that_cannot_go_on_begins_anew(hub: str, get: Get, tmp_path: Path) -> None:
    content = os.urandom(4 * MEBI)
    fake = FakeHub(repository_of(hub), {FILE: content})
    fake.cut[FILE] = 2 * MEBI + 17
    fake.ranges = False
    with fake.serve():
        messages = told(get(hub, fake.url))
    assert messages[-1]["type"] == "downloaded"
    assert (tmp_path / "set" / FILE).read_bytes() == content
    assert all(message["done"] <= message["total"] for message in messages[:-1])


def test_a_token_goes_to_the_hub_and_nowhere_else(get: Get) -> None:
    fake = FakeHub(repository_of("huggingface"), {FILE: ROWS, "small/" + FILE: ROWS[:128]})
    with fake.serve():
        told(get("huggingface", fake.url, token="hf_of_a_person"))
        fake.files = {FILE: ROWS[:128]}
        told(get("huggingface", fake.url, token="hf_of_a_person"))
    assert {(asked.host, asked.login) for asked in fake.asked} == {
        ("localhost", None),
        ("127.0.0.1", "Bearer hf_of_a_person"),
    }


@pytest.mark.parametrize("hub", HUBS)
def test_a_file_with_wrong_bytes_is_refused_and_thrown_away(hub: str, get: Get, tmp_path: Path) -> None:
    fake = FakeHub(repository_of(hub), {FILE: ROWS})
    fake.altered = {FILE}
    with fake.serve():
        process = get(hub, fake.url)
        message = told(process)[-1]
        assert (process.returncode, message["type"], message["code"]) == (1, "failed", "corrupt")
        assert FILE in message["message"] and "run the same command again" in message["hint"]
        assert [path for path in (tmp_path / "set").rglob("*") if path.suffix in (".jsonl", ".incomplete")] == []
        fake.altered.clear()
        assert told(get(hub, fake.url))[-1]["type"] == "downloaded"


def test_a_small_file_with_wrong_bytes_is_told_by_its_git_digest(get: Get) -> None:
    fake = FakeHub(repository_of("huggingface"), {FILE: ROWS[:128]})
    fake.altered = {FILE}
    with fake.serve():
        assert "git SHA-1" in told(get("huggingface", fake.url))[-1]["message"]


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(404, "not_found", "not there"), (401, "not_allowed", "login"), (403, "not_allowed", "may not read")],
)
def test_a_refusal_is_told_with_what_to_do(hub: str, status: int, code: str, words: str, get: Get) -> None:
    fake = FakeHub(repository_of(hub), {FILE: ROWS})
    fake.refuse = status
    with fake.serve():
        message = told(get(hub, fake.url))[-1]
    assert (message["type"], message["code"]) == ("failed", code)
    assert words in message["message"] and str(status) in message["message"]
    assert repository_of(hub) in message["hint"]


@pytest.mark.parametrize("hub", HUBS)
def test_terms_that_are_asked_for_at_the_files_are_told_too(hub: str, get: Get) -> None:
    fake = FakeHub(repository_of(hub), {FILE: ROWS})
    fake.refuse_files = 403
    with fake.serve():
        message = told(get(hub, fake.url))[-1]
    assert message["code"] == "not_allowed" and "terms" in message["hint"]


@pytest.mark.parametrize("hub", HUBS)
def test_offline_is_told_within_seconds_with_a_way_out(hub: str, get: Get) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    begun = time.monotonic()
    message = told(get(hub, url))[-1]
    assert (message["type"], message["code"]) == ("failed", "offline")
    assert "ENDPOINT" in message["hint"] and "data check FOLDER" in message["hint"]
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("hub", HUBS)
def test_a_network_that_wants_a_login_first_is_no_hub(hub: str, get: Get) -> None:
    fake = FakeHub(repository_of(hub), {FILE: ROWS})
    fake.portal = True
    with fake.serve():
        message = told(get(hub, fake.url))[-1]
    assert message["code"] == "offline" and "something else" in message["message"]


@pytest.mark.parametrize("hub", HUBS)
def test_a_folder_that_is_a_file_is_told(hub: str, get: Get, tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine")
    fake = FakeHub(repository_of(hub), {FILE: ROWS})
    with fake.serve():
        message = told(get(hub, fake.url))[-1]
    assert message["code"] == "unwritable" and "--to" in message["hint"]
    assert (tmp_path / "set").read_text() == "mine"


@pytest.mark.parametrize("hub", HUBS)
def test_a_path_that_leaves_the_folder_is_refused(hub: str, get: Get, tmp_path: Path) -> None:
    key = "chinese-r1-distill-110k"  # all data files of the repository belong to it
    fake = FakeHub(repository_of(hub, key), {"../../evil.jsonl": ROWS, FILE: ROWS})
    with fake.serve():
        message = told(get(hub, fake.url, key))[-1]
    assert message["code"] == "unsafe_path" and "evil" in message["message"]
    assert list(tmp_path.rglob("*.jsonl")) == [] and fake.asked == []


@pytest.mark.parametrize("hub", HUBS)
def test_a_repository_without_the_files_is_told(hub: str, get: Get) -> None:
    fake = FakeHub(repository_of(hub), {"README.md": b"moved", "load.py": b""})
    with fake.serve():
        message = told(get(hub, fake.url))[-1]
    assert message["code"] == "not_found" and "no data files" in message["message"]


def test_two_downloads_into_one_folder_do_not_mix(get: Get) -> None:
    fake = FakeHub(repository_of("huggingface"), {FILE: os.urandom(2 * MEBI)})
    fake.stalled[FILE] = MEBI + 1
    with fake.serve():
        get("huggingface", fake.url)
        assert fake.stalling.wait(60)
        assert told(get("huggingface", fake.url))[-1]["code"] == "busy"


def test_an_unknown_set_and_an_unknown_hub_are_told(get: Get) -> None:
    assert "dolly-15k" in told(get("", "http://127.0.0.1:9", "doly-15k"))[-1]["hint"]
    assert told(get("hugingface", "http://127.0.0.1:9"))[-1]["hint"] == "Did you mean 'huggingface'?"


def test_the_libraries_are_loaded_without_an_engine() -> None:
    code = (
        "import sys, tunesmith.daemon.hubs.__main__ as main\n"
        "assert not {'modelscope_hub', 'huggingface_hub', 'requests'} & sys.modules.keys()\n"
        "from tunesmith.daemon import hubs; hubs.cards()\n"
        "import modelscope_hub, huggingface_hub.file_download\n"
        "assert not {'torch', 'transformers', 'datasets', 'modelscope', 'numpy'} & sys.modules.keys(), 'engine'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def journalled(staged: Path) -> int:
    """Bytes that the journal of the only file says are there, of its only piece."""
    lines = [line for path in staged.glob("*.journal") for line in path.read_text().splitlines()[1:]]
    return json.loads(lines[-1])["bytes"] if lines else 0


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)
