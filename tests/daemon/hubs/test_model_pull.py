"""A pull brings just what training needs, verified, once; from both hubs' real client libraries to a loopback hub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_models import ID, NEEDED, environment, files, hubs, safetensors
from hub_server import COMMIT, FakeHub

from tunesmith.daemon import publish
from tunesmith.daemon.api import library_caches, model_store
from tunesmith.daemon.api.home import Home

HUBS = ("modelscope", "huggingface")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub(ID, files(), "model").serve() as fake:
        yield fake


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def pull(hub: FakeHub, folder: Path, *arguments: str, **more: str) -> dict[str, Any]:
    """The last message."""
    return hubs(environment(folder, hub.url, **more), "pull", *arguments)[-1]


def pulled(hub: FakeHub, folder: Path, *arguments: str, **more: str) -> Path:
    last = pull(hub, folder, *arguments, **more)
    assert last["type"] == "pulled", last
    return Path(last["folder"])


@pytest.mark.parametrize("key", HUBS)
def test_only_what_training_needs_is_fetched(key: str, hub: FakeHub, tmp_path: Path, home: Home) -> None:
    folder = pulled(hub, tmp_path, "--hub", key, ID)
    assert sorted(path.name for path in folder.iterdir()) == sorted((*NEEDED, "MODEL.json", "MANIFEST.json"))
    assert {asked.path for asked in hub.asked} == set(NEEDED)
    assert all((folder / name).read_bytes() == hub.files[name] for name in NEEDED)
    publish.verify_folder(folder)
    assert not (home.models / "partial").exists() or not any((home.models / "partial").iterdir())


@pytest.mark.parametrize("key", HUBS)
def test_every_file_is_a_hard_link_to_the_blob_of_its_digest(
    key: str, hub: FakeHub, tmp_path: Path, home: Home
) -> None:
    folder = pulled(hub, tmp_path, "--hub", key, ID)
    for name in NEEDED:
        blob = model_store.blob(home, hashlib.sha256(hub.files[name]).hexdigest())
        assert os.path.samefile(blob, folder / name)


def test_the_revision_is_the_commit_where_the_hub_tells_it(hub: FakeHub, tmp_path: Path, home: Home) -> None:
    assert pulled(hub, tmp_path, "--hub", "huggingface", ID).name == COMMIT
    first = pulled(hub, tmp_path, "--hub", "modelscope", ID).name
    hub.files["README.md"] = b"# Tiny, again\n"
    second = pulled(hub, tmp_path, "--hub", "modelscope", ID).name
    assert first != second
    newest = model_store.find(home, "modelscope", ID)
    assert newest is not None and newest.folder.name == second
    older = model_store.find(home, "modelscope", ID, first)
    assert older is not None and older.folder.name == first


def test_the_other_hub_gives_only_what_is_not_here(hub: FakeHub, tmp_path: Path) -> None:
    pulled(hub, tmp_path, "--hub", "modelscope", ID)
    hub.asked.clear()
    last = pull(hub, tmp_path, "--hub", "huggingface", ID)
    # Small files are listed there by git's digest alone, which says nothing of blobs.
    assert "model.safetensors" not in {asked.path for asked in hub.asked}
    assert last["fetched"] < 1000


def test_what_is_here_is_taken_as_it_is_unless_asked_anew(hub: FakeHub, tmp_path: Path) -> None:
    folder = pulled(hub, tmp_path, ID)
    hub.refuse = 500
    assert pulled(hub, tmp_path, "--if-missing", ID) == folder
    assert pull(hub, tmp_path, ID)["type"] == "failed"


def test_modelscope_is_asked_first_and_the_other_hub_when_it_does_not_know_the_model(tmp_path: Path) -> None:
    with FakeHub(ID, files(), "model").serve() as fake, FakeHub("other/model", files(), "model").serve() as empty:
        assert pulled(fake, tmp_path, ID).parts[-4] == "modelscope"
        found = pulled(fake, tmp_path / "b", ID, MODELSCOPE_ENDPOINT=empty.url)
        assert found.parts[-4] == "huggingface"
        assert pulled(fake, tmp_path / "c", ID, TUNESMITH_HUB="huggingface").parts[-4] == "huggingface"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"model.safetensors": None}, "pickles_only"),
        ({"config.json": None}, "model_files"),
        ({"tokenizer.json": None}, "model_files"),
        ({"config.json": b'{"quantization_config": {"quant_method": "awq"}}'}, "quantized_model"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_its_weights_are_fetched(
    changed: dict[str, bytes | None], code: str, hub: FakeHub, tmp_path: Path
) -> None:
    for name, content in changed.items():
        hub.files.pop(name)
        if content is not None:
            hub.files[name] = content
    last = pull(hub, tmp_path, ID)
    assert (last["type"], last["code"]) == ("failed", code) and last["hint"]
    assert not {"model.safetensors", "pytorch_model.bin"} & {asked.path for asked in hub.asked}


def test_a_damaged_file_is_found_and_only_that_is_fetched_again(hub: FakeHub, tmp_path: Path, home: Home) -> None:
    folder = pulled(hub, tmp_path, ID)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff")
    found = hubs(environment(tmp_path, hub.url), "verify")[-1]["models"]
    assert len(found) == 1 and "model.safetensors" in found[0]["damaged"][0]
    assert found[0]["mend"] == f"tunesmith models pull modelscope:{ID}"
    hub.asked.clear()
    assert pulled(hub, tmp_path, ID) == folder
    assert {asked.path for asked in hub.asked} == {"model.safetensors"}
    assert hubs(environment(tmp_path, hub.url), "verify")[-1]["models"][0]["damaged"] == []


def test_a_killed_pull_goes_on_and_is_listed_meanwhile(tmp_path: Path, home: Home) -> None:
    content = files() | {"model.safetensors": safetensors(rows=100_000)}
    hub = FakeHub(ID, content, "model")
    hub.stalled["model.safetensors"] = 4 << 20
    with hub.serve():
        process = subprocess.Popen(
            [sys.executable, "-m", "tunesmith.daemon.hubs", "pull", "--json-progress", ID],
            env=environment(tmp_path, hub.url), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert hub.stalling.wait(60)
        deadline = time.monotonic() + 30
        while not any(one.partial.there > 1 << 20 for one in model_store.incomplete(home)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        (left,) = model_store.incomplete(home)
        assert left.partial.repository == ID and left.partial.bytes > left.partial.there > 1 << 20
        assert model_store.snapshots(home) == []
        hub.asked.clear()
        folder = pulled(hub, tmp_path, ID)
    assert (folder / "model.safetensors").read_bytes() == content["model.safetensors"]
    assert model_store.incomplete(home) == []
    assert max(hub.ranges_of("model.safetensors")) > 0


def test_the_second_of_two_pulls_waits_and_fetches_nothing(hub: FakeHub, tmp_path: Path) -> None:
    hub.stalled["model.safetensors"] = 5000
    given = environment(tmp_path, hub.url)
    command = [sys.executable, "-m", "tunesmith.daemon.hubs", "pull", "--json-progress", ID]
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True) as one:
        assert hub.stalling.wait(60)
        with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True) as two:
            assert two.stdout is not None
            said = json.loads(two.stdout.readline())
            assert said["type"] == "waiting" and str(one.pid) in said["text"]
            hub.released.set()
            last = json.loads(two.communicate(timeout=60)[0].splitlines()[-1])
        first = json.loads(one.communicate(timeout=60)[0].splitlines()[-1])
    assert first["type"] == last["type"] == "pulled"
    assert first["fetched"] > 0 and last["fetched"] == 0


@pytest.mark.parametrize("no_network", [False, True])
def test_what_hugging_face_s_library_has_is_used_after_a_look_at_its_digest(
    no_network: bool, hub: FakeHub, tmp_path: Path
) -> None:
    cache = tmp_path / "hf" / "hub" / "models--tunesmith--tiny-model"
    snapshot = cache / "snapshots" / COMMIT
    for part in (snapshot, cache / "blobs", cache / "refs"):
        part.mkdir(parents=True)
    (cache / "refs" / "main").write_text(COMMIT)
    for name in NEEDED:
        content = hub.files[name]
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        digest = hashlib.sha256(content).hexdigest() if len(content) >= 1000 else git
        (cache / "blobs" / digest).write_bytes(content)
        (snapshot / name).symlink_to(Path("../../blobs") / digest)
    more = {"TUNESMITH_OFFLINE": "1"} if no_network else {}
    folder = pulled(hub, tmp_path, "--hub", "huggingface", ID, **more)
    assert folder.name == COMMIT and hub.asked == []
    publish.verify_folder(folder)


def test_a_damaged_file_of_a_library_s_cache_is_not_used(hub: FakeHub, tmp_path: Path) -> None:
    place = tmp_path / "ms-cache" / "models" / "tunesmith" / "tiny-model"
    place.mkdir(parents=True)
    for name in NEEDED:
        (place / name).write_bytes(hub.files[name])
    with (place / "model.safetensors").open("r+b") as file:
        file.seek(7000)
        file.write(b"\xff")
    folder = pulled(hub, tmp_path, "--hub", "modelscope", ID)
    assert {asked.path for asked in hub.asked} == {"model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]


def test_offline_nothing_is_asked_and_the_cache_works(hub: FakeHub, tmp_path: Path) -> None:
    refused = pull(hub, tmp_path, ID, TUNESMITH_OFFLINE="1")
    assert refused["code"] == "offline" and "models import" in refused["hint"]
    folder = pulled(hub, tmp_path, ID)
    for variable in ("TUNESMITH_OFFLINE", "HF_HUB_OFFLINE"):
        assert pulled(hub, tmp_path, ID, **{variable: "1"}) == folder
    for arguments in (("describe", ID), ("search", "tiny")):
        assert hubs(environment(tmp_path, hub.url, HF_HUB_OFFLINE="1"), *arguments)[-1]["code"] == "offline"


@pytest.mark.parametrize(("key", "variable"), [("huggingface", "HF_TOKEN"), ("modelscope", "MODELSCOPE_API_TOKEN")])
@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model_names_its_page_and_the_token_s_variable(
    key: str, variable: str, status: int, hub: FakeHub, tmp_path: Path
) -> None:
    hub.refuse = status
    last = pull(hub, tmp_path, "--hub", key, ID, **{variable: "tok-secret-canary"})
    assert last["code"] == "not_allowed"
    assert variable in last["hint"] and f"{ID}" in last["hint"] and "datasets" not in last["hint"]
    assert "canary" not in json.dumps(last)


def test_a_folder_is_imported_under_a_name(hub: FakeHub, tmp_path: Path, home: Home) -> None:
    mine = tmp_path / "My Model"
    mine.mkdir()
    for name in NEEDED:
        (mine / name).write_bytes(hub.files[name])
    (mine / "pytorch_model.bin").write_bytes(b"canary")
    given = environment(tmp_path, hub.url, TUNESMITH_OFFLINE="1")
    last = hubs(given, "import", str(mine))[-1]
    assert last["model"]["repository"] == "My-Model" and last["model"]["hub"] == "local"
    folder = Path(last["folder"])
    assert sorted(path.name for path in folder.iterdir()) == sorted((*NEEDED, "MODEL.json", "MANIFEST.json"))
    shutil.rmtree(mine)
    assert pulled(hub, tmp_path, "local:My-Model", TUNESMITH_OFFLINE="1") == folder
    assert hubs(given, "import", str(tmp_path), "--name", "x")[-1]["code"] == "model_files"


def test_removing_frees_what_nothing_shares(hub: FakeHub, tmp_path: Path, home: Home) -> None:
    from tunesmith.daemon.api import models

    pulled(hub, tmp_path, "--hub", "modelscope", ID)
    pulled(hub, tmp_path, "--hub", "huggingface", ID)
    one, two = model_store.matching(home, f"modelscope:{ID}"), model_store.matching(home, f"huggingface:{ID}")
    assert len(one) == len(two) == 1
    assert models.remove(home, one) < 5000
    publish.verify_folder(two[0].folder)
    assert models.remove(home, two) > 200_000
    assert model_store.snapshots(home) == []
    assert [path for path in (home.models / "blobs").rglob("*") if path.is_file()] == []


def test_a_library_s_cache_is_found_by_its_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    snapshot = tmp_path / "elsewhere" / "models--a--b" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (found,) = library_caches.models("huggingface", "a/b")
    assert (found.folder, found.revision) == (snapshot, COMMIT)
